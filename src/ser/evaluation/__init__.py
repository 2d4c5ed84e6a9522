"""Numbers from a table of predictions. No model, no audio."""
