"""The arguments that a Python program passes as a recording, checked before anything is decoded; every error says what to pass instead."""

import inspect
import io
import numbers
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, cast

import numpy as np
from numpy.typing import NDArray

from ser.audio.recording import ArrayRecording, Recording
from ser.audio.spool import recording_of
from ser.home import user_path

Audio = str | os.PathLike[str] | IO[bytes] | NDArray[np.generic]
"""The path of a file, a binary stream with the content of one, or samples: (samples,) or (samples, channels)."""


@contextmanager
def open_audio(audio: Audio, sample_rate: int | None) -> Iterator[Recording]:
    """Open a recording.

    Raises:
        AudioError: it cannot be used.
        ValueError: an argument has a type or a value that is not accepted.
    """
    if isinstance(audio, np.ndarray):
        yield ArrayRecording(check_samples(audio), check_rate(sample_rate))
        return
    source = check_source(audio)
    if sample_rate is not None:
        raise ValueError("sample_rate is only for samples; the sample rate of a file is read from the file")
    with recording_of(source) as recording:
        yield recording


def check_samples(samples: NDArray[np.generic]) -> NDArray[np.generic]:
    """
    Raises:
        ValueError: some samples are masked.
    """
    if isinstance(samples, np.ma.MaskedArray):
        raise ValueError("masked samples are not accepted: replace them first, for example with samples.filled(0)")
    return samples


def check_rate(sample_rate: object) -> int:
    """A sample rate as an integer.

    Raises:
        ValueError: it is missing, or not a whole number of hertz.

    >>> check_rate(16000.0)
    16000
    """
    if sample_rate is None:
        raise ValueError("samples need their sample_rate, in hertz")
    is_number = isinstance(sample_rate, numbers.Real) and not isinstance(sample_rate, bool)
    if not is_number or not float(cast(float, sample_rate)).is_integer():
        raise ValueError(f"sample_rate={sample_rate!r} is not a whole number of hertz, such as 16000")
    return int(cast(float, sample_rate))


def check_source(audio: object) -> str | Path | IO[bytes]:
    """A path, or a stream of bytes.

    Raises:
        ValueError: the argument is neither; the message says what to pass instead.
    """
    if isinstance(audio, str | os.PathLike):
        path = os.fspath(audio)
        if isinstance(path, str):
            return user_path(path)
    read = getattr(audio, "read", None)
    if callable(read) and not isinstance(audio, io.TextIOBase) and not inspect.iscoroutinefunction(read):
        return cast(IO[bytes], audio)
    raise ValueError(f"{type(audio).__name__} is not a recording: {advice(audio)}")


def advice(audio: object) -> str:
    """
    >>> advice(b"RIFF")
    'give a path, a stream of bytes such as io.BytesIO(content), or samples as a numpy array'
    """
    text = "give a path, a stream of bytes such as io.BytesIO(content), or samples as a numpy array"
    if isinstance(audio, tuple) and len(audio) == 2:
        text = "give samples and rate as two arguments, predict(samples, sample_rate)"
    elif isinstance(audio, list | tuple):
        text = "give several paths to predict_many, or samples as a numpy array"
    elif isinstance(audio, dict):
        text = 'give samples and rate as two arguments, as predict(audio["array"], audio["sampling_rate"])'
    elif hasattr(audio, "numpy"):
        text = "give samples as a numpy array, for example with .numpy()"
    elif inspect.iscoroutinefunction(getattr(audio, "read", None)):
        text = "its read() is asynchronous; give its underlying file (.file), or io.BytesIO(await upload.read())"
    elif isinstance(audio, io.TextIOBase):
        text = 'it is opened as text; open it with mode "rb"'
    return text
