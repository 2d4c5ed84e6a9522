"""Figures, one kind in each file: functions from numbers to a matplotlib `Figure`. Every axis has a label with its unit."""
