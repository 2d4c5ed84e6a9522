"""Feature extraction from waveforms, and the feature store. Only `backbone.py` imports torch."""
