"""A trained model and a recording become an answer."""
