"""From bytes or a microphone to a screened float32 waveform, and where speech is in it. No label, corpus or model."""
