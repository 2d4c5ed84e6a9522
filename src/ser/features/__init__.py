"""Waveforms become frames, and frames are stored. numpy and scipy only, but for `backbone.py`."""
