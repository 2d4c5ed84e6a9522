"""Predict the emotion in a recording with a trained model."""
