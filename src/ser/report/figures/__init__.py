"""Figures, one kind a file: numbers in, a matplotlib `Figure` out. Every axis says what it shows and in which unit."""
