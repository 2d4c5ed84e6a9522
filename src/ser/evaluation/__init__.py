"""Metrics, confidence intervals, calibration and comparisons, computed from tables of predictions."""
