"""Reading, screening and resampling of audio from files and microphones, and voice activity detection."""
