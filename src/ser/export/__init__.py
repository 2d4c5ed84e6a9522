"""A trained model for a program that is not ser."""
