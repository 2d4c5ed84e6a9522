"""Feature extractors: waveform to frames, one file each."""
