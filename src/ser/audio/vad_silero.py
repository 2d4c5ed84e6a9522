"""Voice activity detection by silero-vad, a small recurrent network that distinguishes speech from noise and music.

The package is never imported, because it imports torch, which takes seconds. Its ONNX file for whole sequences of chunks is run with
onnxruntime instead. Chunks, context and rules are those of the package's `get_speech_timestamps`.

A recording is scaled to a peak of 1, as for the emotion models: the network does not recognise a voice recorded at -50 dBFS as speech.
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
"""Sample rate of the network in Hz. All lengths below are in samples at this rate."""
CHUNK = 512
"""Length of a chunk, 32 ms; each chunk has one probability of speech."""
CONTEXT = 64
"""Length of the context before a chunk, 4 ms, which is part of the input."""
STATE = (1, 1, 128)
CHUNKS_AT_ONCE = 125
"""Number of chunks in one call, 4 s; bounds the memory of the network's activations to some megabytes."""
MINUTE = 60 * RATE
"""Length of a section with one gain, a whole number of chunks. The gain scales the loudest sample up to the end of the section to 1."""
LOUDER = 2.0
"""Ratio of a section's peak to the previous peak above which the state of the network is reset. Until then the gain was too high: after a
minute of quiet noise scaled to full scale, the network would not recognise the next sentence."""
SPEECH = 0.5
"""Probability at or above which a chunk starts speech."""
SILENCE = 0.35
"""Probability below which a chunk may end speech."""
LEAST_SPEECH = RATE // 4
"""Speech of 0.25 s or less is ignored."""
LEAST_SILENCE = RATE // 10
"""Silence of less than 0.1 s does not end speech."""
MARGIN = 3 * RATE // 100
"""Margin added before and after speech, 30 ms."""

DOUBT = 0.2
"""Highest probability from which a short recording without speech by the rules is doubtful. The rules find no speech in 59 of the 12 161
clips of the four corpora, most of them acted with high intensity; 55 of these have a chunk that reaches this value. Noise does not."""
SURE_SECONDS = 1.0
"""Shorter recordings may be too short for the network."""

FILE = "silero_vad_16k_sequence.onnx"

log = logging.getLogger(__name__)

Voice = Literal["auto", "silero", "energy"]
"""Name of a speech detector; `auto` is silero if it is installed, otherwise energy."""
Probabilities = NDArray[np.float32]
Stretch = tuple[int, int]
"""(first sample, sample after the last)."""


def detector(voice: Voice) -> "Silero | None":
    """Load a speech detector; None stands for detection by energy.

    Raises:
        ConfigError: silero was requested but is not installed, or the name is unknown.
    """
    if voice not in get_args(Voice):
        raise ConfigError(f"there is no speech detector {voice!r}: choose {', '.join(get_args(Voice))}")
    if voice == "energy":
        return None
    try:
        return Silero.load()
    except ConfigError as error:
        if voice == "silero":
            raise
        log.info("speech is detected by its energy: %s", error)
        return None


class Silero:
    """The network. It keeps no state of a recording, so it can process several at once."""

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
            # optimising such a small graph does not make it faster, and takes a third of the loading time
            session = open_session(str(path), name=str(path), optimise=False)
        except SessionError as error:
            raise ConfigError(f"onnxruntime {error.version} cannot load {path}: install silero-vad again ({error.detail})") from None
        return cls(session)

    def start(self, sample_rate: int) -> "SpeechStream":
        """Start a recording with this sample rate in Hz."""
        return SpeechStream(self.session, sample_rate)


def find_file() -> Path:
    """Find the ONNX file. Raises the errors of `Silero.load`."""
    folder = package_folder("silero_vad")
    if folder is None:
        raise ConfigError(f"silero is not installed: {install_hint('voice')}")
    path = folder / "data" / FILE
    if not path.is_file():
        raise ConfigError(f"silero-vad has no {FILE}, which came with its version 6.2.2: {install_hint('voice')} --upgrade")
    return path


class SpeechStream:
    """Applies the network to one recording in pieces of any size. The probabilities do not depend on their sizes."""

    def __init__(self, session: Session, sample_rate: int) -> None:
        self.session, self.sample_rate = session, sample_rate
        self.stream = None if sample_rate == RATE else soxr.ResampleStream(sample_rate, RATE, 1, dtype="float32", quality="HQ")
        self.waiting: list[Waveform] = []
        self.length, self.peak = 0, 0.0
        self.context = np.zeros(CONTEXT, np.float32)
        self.hidden, self.cell = np.zeros(STATE, np.float32), np.zeros(STATE, np.float32)
        self.probabilities: list[Probabilities] = []

    def add(self, mono: Waveform) -> None:
        """Add the next piece, (samples,) at the recording's rate; full scale is 1.

        Raises:
            DataError: out of memory.
        """
        with memory_errors("silero needs some to detect speech"):
            self.add_resampled(mono if self.stream is None else self.stream.resample_chunk(mono))

    def add_resampled(self, piece: Waveform) -> None:
        """Add a piece at 16 kHz."""
        self.waiting.append(piece)
        self.length += len(piece)
        if sum(map(len, self.waiting)) >= MINUTE:
            whole = np.concatenate(self.waiting)
            rest = len(whole) // MINUTE * MINUTE
            for start in range(0, rest, MINUTE):
                self.infer(whole[start : start + MINUTE])
            self.waiting = [whole[rest:]]

    def infer(self, waveform: Waveform) -> None:
        """Process a minute or the rest of the recording; the last chunk is padded with zeros."""
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
        """End the recording and return the probability of speech of each chunk of 32 ms, (chunks,). Raises the errors of `add`."""
        with memory_errors("silero needs some to detect speech"):
            if self.stream is not None:
                self.add_resampled(self.stream.resample_chunk(np.zeros(0, np.float32), last=True))
            rest = np.concatenate([np.zeros(0, np.float32), *self.waiting])
            if len(rest):
                self.infer(rest)
        return np.concatenate([np.zeros(0, np.float32), *self.probabilities])

    def speech(self, hop: int, hops: int) -> NDArray[np.bool_] | None:
        """End the recording and return whether the centre of each hop is speech, (hops,); None if no speech was found but may exist.

        Args:
            hop: number of samples between hops at the recording's rate.
        """
        probabilities = self.finish()
        stretches = find_stretches(probabilities, self.length)
        if not stretches and in_doubt(probabilities, self.length):
            return None
        return within(stretches, (np.arange(hops) + 0.5) * hop * RATE / self.sample_rate)


def in_doubt(probabilities: Probabilities, length: int) -> bool:
    """Whether a recording without speech by the rules may have some. A single probable chunk is not counted in long recordings.

    >>> [in_doubt(np.array([0.1, top], np.float32), seconds * RATE) for top, seconds in ((0.1, 2), (0.3, 2), (0.3, 99))]
    [False, True, False]
    """
    return length < SURE_SECONDS * RATE or (length <= MINUTE and bool(probabilities.max() >= DOUBT))


def find_stretches(probabilities: Probabilities, length: int) -> list[Stretch]:
    """Stretches of speech by the rules of silero's `get_speech_timestamps`, for a waveform of `length` samples.

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
    """Whether each position is in one of the stretches, which are sorted and do not overlap.

    >>> within([(0, 2), (5, 6)], np.array([1.0, 2.0, 5.5])).tolist()
    [True, False, True]
    """
    edges = np.array(stretches, np.float64).reshape(-1)
    return np.asarray(np.searchsorted(edges, places, side="right") % 2 == 1)
