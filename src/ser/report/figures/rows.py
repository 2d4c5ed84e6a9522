"""The vertical axis of a feature: the position of each row and the ticks."""

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from ser.config import MelConfig
from ser.features.spectral import hz_to_mel, mel_to_hz

Tick = tuple[float, str]
"""Position and text."""

HERTZ = (64_000, 32_000, 16_000, 8000, 4000, 2000, 1000, 500, 250, 125)
"""Candidates for ticks of the mel axis in hertz."""
PITCH_CLASSES = ("C", "C♯", "D", "D♯", "E", "F", "F♯", "G", "G♯", "A", "A♯", "B")


@dataclass(frozen=True)
class Rows:
    label: str
    low: float
    """Lower edge of the first row."""
    high: float
    """Upper edge of the last row."""
    ticks: tuple[Tick, ...]


def mel_rows(config: MelConfig, sampling_rate: int, gap: float = 0.12) -> Rows:
    """Rows that are evenly spaced on the mel scale, with ticks at round numbers of hertz.

    Args:
        gap: least distance between two ticks, as a share of the axis.
    """
    low, high = hz_to_mel([config.fmin, config.fmax or sampling_rate / 2])
    step = (high - low) / (config.n_mels + 1)
    first, last = low + step / 2, high - step / 2
    places: list[float] = []
    for place in hz_to_mel(HERTZ):
        if first <= place <= last and (not places or places[-1] - place > gap * (last - first)):
            places.append(place)
    if len(places) < 2:
        places = list(np.linspace(low + step, high - step, 3))
    return Rows("hertz", float(first), float(last), tuple((float(place), f"{mel_to_hz(place):.0f}") for place in places))


def mfcc_rows(number: int) -> Rows:
    """
    >>> [text for _, text in mfcc_rows(40).ticks]
    ['0', '10', '20', '30']
    """
    return numbered("coefficient", number)


def chroma_rows(number: int) -> Rows:
    """Names of pitch classes if rows are semitones, or parts of semitones."""
    if number % 12:
        return numbered("pitch class, C = 0", number)
    step = number // 12
    ticks = tuple((float(index * step), name) for index, name in enumerate(PITCH_CLASSES))
    return Rows("pitch class", -0.5, number - 0.5, ticks)


def numbered(label: str, number: int) -> Rows:
    """Rows from 0 on, with three to six ticks."""
    step = next(step for step in steps() if (number - 1) / step < 6)
    return Rows(label, -0.5, number - 0.5, tuple((float(row), str(row)) for row in range(0, number, step)))


def steps() -> Iterator[int]:
    """1, 2, 5, 10, 20, 50..."""
    size = 1
    while True:
        yield from (size, 2 * size, 5 * size)
        size *= 10
