"""Tiny synthetic trees of the four corpora, with the real file names: what the licences of the real ones do not allow to be copied.

Each clip is a harmonic tone whose pitch and brightness tell the emotion, coloured by the speaker, plus noise of its own: a model can
learn the emotions, and no two clips share their samples.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import cycle, islice, product
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from ser.corpora.registry import CORPORA
from ser.emotions import EMOTIONS
from ser.units import seconds_to_samples

CREMA_SPEAKERS = ("1001", "1002", "1003", "1004", "1005", "1011")
RAVDESS_SPEAKERS = ("01", "02", "03", "04", "05", "06")
TESS_WORDS = ("back", "bar", "base", "bath", "bean", "beg")
TESS_FOLDERS = {"ps": {"OAF": "Pleasant_surprise", "YAF": "pleasant_surprised"}, "fear": {"OAF": "Fear"}, "sad": {"OAF": "Sad"}}
SAMPLE_RATES = {"crema": 16_000, "ravdess": 48_000, "savee": 44_100, "tess": 24_414}


def crema_paths(takes: int) -> Iterator[str]:
    sentences = ("DFA", "IWW", "MTI", "TSI", "WSI", "TAI")[:takes]
    for speaker, sentence, code in product(CREMA_SPEAKERS, sentences, CORPORA["crema"].labels):
        yield f"AudioWAV/{speaker}_{sentence}_{code}_XX.wav"


def ravdess_paths(takes: int) -> Iterator[str]:
    """Neutral has half as many intensities, and so half as many clips where more than two are asked for."""
    clips = tuple(islice(product(("01", "02"), ("01", "02"), ("01", "02")), takes))
    for speaker, code, (intensity, repetition, statement) in product(RAVDESS_SPEAKERS, CORPORA["ravdess"].labels, clips):
        if (code, intensity) != ("01", "02"):
            yield f"Actor_{speaker}/03-01-{code}-{intensity}-{statement}-{repetition}-{speaker}.wav"


def savee_paths(takes: int) -> Iterator[str]:
    for speaker, code, number in product(CORPORA["savee"].speakers, CORPORA["savee"].labels, range(1, takes + 1)):
        yield f"ALL/{speaker}_{code}{number:02}.wav"


def tess_paths(takes: int) -> Iterator[str]:
    for speaker, code, word in product(CORPORA["tess"].speakers, CORPORA["tess"].labels, TESS_WORDS[:takes]):
        folder = TESS_FOLDERS.get(code, {}).get(speaker, code)
        yield f"{speaker}_{folder}/{speaker}_{word}_{code}.wav"


PATHS: dict[str, Callable[[int], Iterator[str]]] = {
    "crema": crema_paths,
    "ravdess": ravdess_paths,
    "savee": savee_paths,
    "tess": tess_paths,
}


def write_trees(
    root: Path, corpora: Iterable[str] = ("crema", "ravdess", "savee", "tess"), seconds: float = 0.4, seed: int = 0, takes: int = 2
) -> list[Path]:
    """Write `root/<corpus>/...`, mono 16-bit WAV at each corpus's own rate, up to `takes` (at most 6) clips for each speaker and emotion.

    Returns:
        The files: 72 of crema, 96 of ravdess, 56 of savee and 28 of tess with two takes. Equal arguments write equal bytes.
    """
    written: list[Path] = []
    for corpus in corpora:
        generator = np.random.default_rng([seed, *corpus.encode()])
        for name, stretch in zip(PATHS[corpus](takes), cycle((1.0, 1.1, 0.9, 1.2)), strict=False):
            path = root / corpus / name
            path.parent.mkdir(parents=True, exist_ok=True)
            parsed = CORPORA[corpus].parse(Path(name))
            rate = SAMPLE_RATES[corpus]
            soundfile.write(path, voice(parsed.emotion, parsed.speaker, seconds * stretch, rate, generator), rate, subtype="PCM_16")
            written.append(path)
    return written


def voice(emotion: str, speaker: str, seconds: float, sample_rate: int, generator: np.random.Generator) -> NDArray[np.float64]:
    """(num_samples,): pitch from 120 to 540 Hz and the strength of the overtones by emotion, up to 5 % off by speaker."""
    index = EMOTIONS.index(emotion)
    accent = sum(speaker.encode()) % 11 / 100 - 0.05
    pitch = (120 + 60 * index) * (1 + accent + generator.normal(0, 0.01))
    time = np.arange(seconds_to_samples(seconds, sample_rate)) / sample_rate
    brightness = 0.3 + 0.08 * (index % 4)
    tone = sum(brightness**k * np.sin(2 * np.pi * pitch * (k + 1) * time + generator.uniform(0, 6)) for k in range(4))
    return np.asarray(0.2 * tone * np.hanning(len(time)) ** 0.25 + generator.normal(0, 0.005, len(time)))
