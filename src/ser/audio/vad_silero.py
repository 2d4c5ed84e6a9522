"""Where somebody speaks, told by silero-vad: a small recurrent network that knows a voice from noise and music.

The package's own import brings torch, which costs seconds, so it is never imported: its ONNX file is found and run by onnxruntime. That is
the file that takes a whole sequence of chunks in one call. Chunks, context and rules are those of the package's `get_speech_timestamps`.

A recording is shown to it as the models here hear one, with a peak of 1: a voice recorded at -50 dBFS is none to it else.
"""

import logging
from pathlib import Path
from typing import Literal, Self, get_args

import numpy as np
import soxr
from numpy.typing import NDArray

from ser.audio.waveform import Waveform
from ser.errors import ConfigError
from ser.system.memory import memory_errors
from ser.system.onnx_session import Session, SessionError, open_session
from ser.system.optional import install_hint, package_folder

RATE = 16_000
"""Hz, of what it hears. All lengths below are samples at this rate."""
CHUNK = 512
"""32 ms have one probability of speech."""
CONTEXT = 64
"""The last 4 ms before a chunk, which the network sees too."""
STATE = (1, 1, 128)
CHUNKS_AT_ONCE = 125
"""Four seconds, some megabytes of what the network computes on its way."""
MINUTE = 60 * RATE
"""Shown with one gain, so that the loudest sample so far, this minute's included, is 1. A whole number of chunks."""
LOUDER = 2.0
"""Times the peak before: what came until then was shown too loud, and what the network remembers of it would drown what comes. A minute of
hush is noise at full scale to it, and a sentence behind that none."""
SPEECH = 0.5
"""Probability: speech begins with a chunk of this or more."""
SILENCE = 0.35
"""Probability: speech may end with a chunk below it."""
LEAST_SPEECH = RATE // 4
"""Speech of 0.25 s or less is none."""
LEAST_SILENCE = RATE // 10
"""Silence of less than 0.1 s does not end speech."""
MARGIN = 3 * RATE // 100
"""30 ms before and after speech belong to it."""

DOUBT = 0.2
"""Of the 12 161 clips of the four corpora the rules find no speech in 59, most of them acted with high intensity. A chunk of all but 4
reaches this; none of noise does."""
SURE_SECONDS = 1.0
"""A shorter recording may end before the network has made up its mind."""

FILE = "silero_vad_16k_sequence.onnx"

log = logging.getLogger(__name__)

Voice = Literal["auto", "silero", "energy"]
"""Who tells speech from silence; auto: silero where it is installed."""
Probabilities = NDArray[np.float32]
Stretch = tuple[int, int]
"""First sample, and the first behind the last."""


def detector(voice: Voice) -> "Silero | None":
    """None: energy tells.

    Raises:
        ConfigError: silero was asked for and is not installed; there is no such detector.
    """
    if voice not in get_args(Voice):
        raise ConfigError(f"--voice {voice}: choose {', '.join(get_args(Voice))}")
    if voice == "energy":
        return None
    try:
        return Silero.load()
    except ConfigError as error:
        if voice == "silero":
            raise
        log.info("speech is told from silence by energy: %s", error)
        return None


class Silero:
    """The network. It keeps nothing of a recording, so one serves several at once."""

    def __init__(self, session: Session) -> None:
        self.session = session

    @classmethod
    def load(cls) -> Self:
        """
        Raises:
            ConfigError: the extra `voice` is not installed, or its file cannot be used.
            DataError: out of memory.
        """
        path = find_file()
        try:
            # what it would make of so small a graph is no faster, and takes a third of the time to load it
            session = open_session(str(path), name=str(path), optimise=False)
        except SessionError as error:
            raise ConfigError(f"onnxruntime {error.version} cannot load {path}: install silero-vad again ({error.detail})") from None
        return cls(session)

    def start(self, sample_rate: int) -> "SpeechStream":
        """For one recording, of so many hertz."""
        return SpeechStream(self.session, sample_rate)


def find_file() -> Path:
    """Errors as of `Silero.load`."""
    folder = package_folder("silero_vad")
    if folder is None:
        raise ConfigError(f"silero is not installed: {install_hint('voice')}")
    path = folder / "data" / FILE
    if not path.is_file():
        raise ConfigError(f"silero-vad has no {FILE}, which came with its version 6.2.2: {install_hint('voice')} --upgrade")
    return path


class SpeechStream:
    """The network on one recording, in pieces of any size. Its probabilities do not depend on them."""

    def __init__(self, session: Session, sample_rate: int) -> None:
        self.session, self.sample_rate = session, sample_rate
        self.stream = None if sample_rate == RATE else soxr.ResampleStream(sample_rate, RATE, 1, dtype="float32", quality="HQ")
        self.waiting: list[Waveform] = []
        self.length, self.peak = 0, 0.0
        self.context = np.zeros(CONTEXT, np.float32)
        self.hidden, self.cell = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        self.probabilities: list[Probabilities] = []

    def add(self, mono: Waveform) -> None:
        """The next piece, (samples,) at the recording's rate; full scale is 1.

        Raises:
            DataError: out of memory.
        """
        with memory_errors("silero needs some to tell speech from silence"):
            self.add_resampled(mono if self.stream is None else self.stream.resample_chunk(mono))

    def add_resampled(self, piece: Waveform) -> None:
        """A piece at 16 kHz."""
        self.waiting.append(piece)
        self.length += len(piece)
        if sum(map(len, self.waiting)) >= MINUTE:
            whole = np.concatenate(self.waiting)
            rest = len(whole) // MINUTE * MINUTE
            for start in range(0, rest, MINUTE):
                self.infer(whole[start : start + MINUTE])
            self.waiting = [whole[rest:]]

    def infer(self, waveform: Waveform) -> None:
        """A minute, or the last part of one; zeros fill its last chunk."""
        peak = max(float(waveform.max(initial=0)), -float(waveform.min(initial=0)))
        if peak > LOUDER * self.peak:
            self.hidden, self.cell = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        self.peak = max(self.peak, peak)
        chunks = np.pad(waveform, (0, -len(waveform) % CHUNK)).reshape(-1, CHUNK)
        contexts = np.vstack([self.context[None], chunks[:-1, -CONTEXT:]])
        self.context = chunks[-1, -CONTEXT:]
        scaled = np.hstack([contexts, chunks]) / np.float32(self.peak or 1)
        for start in range(0, len(scaled), CHUNKS_AT_ONCE):
            inputs: dict[str, NDArray[np.floating]] = {"input": scaled[start : start + CHUNKS_AT_ONCE], "h": self.hidden, "c": self.cell}
            found, self.hidden, self.cell = self.session.run(("speech_probs", "hn", "cn"), inputs)
            self.probabilities.append(found)

    def finish(self) -> Probabilities:
        """That each 32 ms are speech, (chunks,). Nothing can be added behind it; errors as of `add`."""
        with memory_errors("silero needs some to tell speech from silence"):
            if self.stream is not None:
                self.add_resampled(self.stream.resample_chunk(np.zeros(0, np.float32), last=True))
            rest = np.concatenate([np.zeros(0, np.float32), *self.waiting])
            if len(rest):
                self.infer(rest)
        return np.concatenate([np.zeros(0, np.float32), *self.probabilities])

    def speech(self, hop: int, hops: int) -> NDArray[np.bool_] | None:
        """Which hops are speech, by their centres: (hops,). It ends the recording, as `finish` does. None where it cannot tell: it found
        no speech, but is not sure of that.

        Args:
            hop: samples from one to the next, at the recording's rate.
        """
        probabilities = self.finish()
        stretches = find_stretches(probabilities, self.length)
        if not stretches and in_doubt(probabilities, self.length):
            return None
        return within(stretches, (np.arange(hops) + 0.5) * hop * RATE / self.sample_rate)


def in_doubt(probabilities: Probabilities, length: int) -> bool:
    """Of a recording without speech by the rules: whether there may be some. In one of hours a single chunk is no reason to think so.

    >>> [in_doubt(np.array([0.1, top], np.float32), seconds * RATE) for top, seconds in ((0.1, 2), (0.3, 2), (0.3, 99))]
    [False, True, False]
    """
    return length < SURE_SECONDS * RATE or (length <= MINUTE and bool(probabilities.max() >= DOUBT))


def find_stretches(probabilities: Probabilities, length: int) -> list[Stretch]:
    """The rules of silero's `get_speech_timestamps`, for a waveform of so many samples.

    >>> find_stretches(np.array([0.1] * 10 + [0.9] * 10 + [0.4, 0.1, 0.9] + [0.1] * 10, np.float32), 33 * CHUNK)
    [(4640, 12256)]
    """
    found: list[Stretch] = []
    start = end = None
    for at, probability in enumerate(probabilities.tolist()):
        if probability >= SPEECH:
            start, end = at if start is None else start, None
        elif probability < SILENCE and start is not None:
            end = at if end is None else end
            if (at - end) * CHUNK >= LEAST_SILENCE:
                found.append((start * CHUNK, end * CHUNK))
                start = end = None
    if start is not None:
        found.append((start * CHUNK, length))
    return [(max(0, first - MARGIN), min(length, last + MARGIN)) for first, last in found if last - first > LEAST_SPEECH]


def within(stretches: list[Stretch], places: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Which places lie in one of the stretches, that stand in order and apart.

    >>> within([(0, 2), (5, 6)], np.array([1.0, 2.0, 5.5])).tolist()
    [True, False, True]
    """
    edges = np.array(stretches, np.float64).reshape(-1)
    return np.asarray(np.searchsorted(edges, places, side="right") % 2 == 1)
