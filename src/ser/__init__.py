"""Speech emotion recognition whose number can be believed."""

__version__ = "0.1.0"
