"""Conversions between seconds, samples and frames."""


def seconds_to_samples(seconds: float, sample_rate: int) -> int:
    """The nearest number of samples.

    >>> seconds_to_samples(0.5, 16_000)
    8000
    """
    return round(seconds * sample_rate)


def samples_to_seconds(num_samples: int, sample_rate: int) -> float:
    """
    >>> samples_to_seconds(24_000, 16_000)
    1.5
    """
    return num_samples / sample_rate


def num_frames(num_samples: int, hop_length: int) -> int:
    """The number of frames of a centred short-time transform: one around every `hop_length`-th sample, the first around sample 0.

    >>> num_frames(16_000, 256)
    63
    """
    return 1 + num_samples // hop_length


def frame_rate(sample_rate: int, hop_length: int) -> float:
    """Frames a second, in hertz.

    >>> frame_rate(16_000, 256)
    62.5
    """
    return sample_rate / hop_length
