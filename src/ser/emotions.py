"""The common label vocabulary of the four corpora, and its order (which is the order of class indices everywhere)."""

EMOTIONS = ("neutral", "calm", "happy", "sad", "angry", "fear", "disgust", "surprise")

SHARED_EMOTIONS = ("neutral", "happy", "sad", "angry", "fear", "disgust")
"""The six emotions that all four corpora have: calm is only in RAVDESS, and CREMA-D has no surprise."""
