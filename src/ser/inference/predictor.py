"""What a trained model says of any recording: one answer for the whole, and one for each stretch of time (docs/predict.md).

A recording is screened as the clips of the corpora are, and may be of any length. One no longer than the window is heard whole. In a longer
one, speech is told from silence (`ser.audio.vad_silero`, `ser.audio.vad_energy`), windows without speech are skipped, and what the others say is smoothed
(`ser.inference.windows`).
"""

import io
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import IO, Any, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from ser.audio.recording import MAX_HOURS, ArrayRecording, Recording, Scan, cut, recording_of, scan
from ser.audio.vad_energy import find_speech, speech_between
from ser.audio.vad_silero import Voice, detector
from ser.audio.waveform import TRIM_HOP_SECONDS, frame_power
from ser.config import AudioConfig
from ser.errors import AudioError, ConfigError, DataError
from ser.evaluation.calibration import Calibration, calibration_of
from ser.features.base import ClipError
from ser.inference.attention import Attention, Curve
from ser.inference.windows import cell_edges, smooth, stretches, window_starts
from ser.units import samples_to_seconds, seconds_to_samples

UNKNOWN = "unknown"
EXPORTED = ".onnx"
WHOLE_WINDOW = 8.0
"""Seconds, for a model that was trained on whole clips: longer than any of the four corpora."""
LEAST_WINDOW, LEAST_HOP = 0.5, 0.1
"""Seconds."""
LEAST_SPEECH = 0.2
"""Seconds of speech that a window, or a cell of the timeline, needs to be answered; half of it if that is less."""
MARGIN_HOPS = 4
"""Around what is loud in a long recording, so that the model's own trim finds there what it would find in the whole."""
VOICE_MARGIN_HOPS = 16
"""Around what silero calls speech: a quarter of a second, which the trim leaves before half of the clips of the corpora."""
BATCH_WINDOWS = 16
BATCH_VALUES = 1 << 22
"""Samples that are heard at once, at most: 16 MiB, and the copies that the model makes of them."""

Floats = NDArray[np.float64]
Clip = tuple[NDArray[np.float32], int]
Advance = Callable[[float], None]
Tracker = Callable[[str, float], AbstractContextManager[Advance]]
"""As `ser.system.progress.track` with seconds of audio for its unit."""
Span = tuple[int, int]
"""First sample, and the first behind the last."""


class Spoken(Protocol):
    """What a model says of one clip."""

    @property
    def probabilities(self) -> Floats:
        """(C,), calibrated."""

    @property
    def attention(self) -> Mapping[str, NDArray[np.float32]]:
        """{name: (T',)} weights that sum to 1. Step k stands k / rate seconds from the start of the prepared waveform, and half a step."""

    @property
    def attention_rate(self) -> Mapping[str, float]:
        """{name: Hz}"""

    @property
    def start(self) -> float:
        """Seconds from the start of the clip to that of the prepared waveform."""


class Model(Protocol):
    """A trained model, from whatever file."""

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def audio(self) -> AudioConfig: ...

    @property
    def calibration(self) -> Calibration:
        """Its threshold is that of the calibrated confidence, below which the answer is `unknown`."""

    def hear_all(self, clips: Sequence[Clip]) -> Sequence[Spoken]: ...


@dataclass(frozen=True, slots=True)
class Passage:
    """A stretch of time with one answer."""

    start: float
    end: float
    """Seconds from the start of the recording."""
    emotion: str
    """One of the model's classes, or `unknown`."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}"""


@dataclass(frozen=True, slots=True)
class Prediction:
    """What a model says of one recording."""

    emotion: str
    """One of the model's classes; `unknown` if the confidence is below the model's threshold."""
    confidence: float
    """The highest of the probabilities."""
    probabilities: Mapping[str, float]
    """{class: calibrated probability}. Of a long recording their mean over the timeline, each cell weighted by the speech in it."""
    seconds: float
    speech_seconds: float
    sample_rate: int
    """Hz, of the recording."""
    channels: int
    container: str | None
    """wav, aiff, flac, ogg, opus or mp3; None for samples that come from no file."""
    warnings: tuple[str, ...]
    """Codes of `ser.reasons`."""
    voice: str
    """Which detector told speech from silence: silero, or energy."""
    timeline: tuple[Passage, ...]
    """Cells of one hop each, without those that hold no speech. One cell if the recording was heard whole; none if nobody speaks in it."""
    segments: tuple[Passage, ...]
    """Neighbouring cells with the same answer as one, with the mean of their probabilities."""
    attention: Mapping[str, Attention]
    """Where the model listened: a curve for each attention that it has, named as in `ser.inference.recogniser.Heard`; empty for a model without."""


class Predictor:
    """A trained model that answers for recordings.

    Attributes:
        classes: what it tells apart.
        window, hop: seconds.
    """

    def __init__(self, model: Model, window: float | None = None, hop: float | None = None, voice: Voice = "auto") -> None:
        """
        Args:
            window: seconds that are heard at once; None: what the model was trained on, or 8 s if that was whole clips.
            hop: seconds from one window to the next; None: half a window.
            voice: who tells speech from silence: silero, energy, or auto, which is silero where the extra `voice` is installed.

        Raises:
            ConfigError: the window is shorter than half a second, or longer than what the model hears of a clip or than a day; the hop is
                shorter than 0.1 s or longer than the window; silero was asked for and is not installed.
        """
        most = model.audio.duration
        self.model, self.classes, self.silero = model, model.classes, detector(voice)
        self.window = window if window is not None else most or WHOLE_WINDOW
        self.hop = hop if hop is not None else self.window / 2
        if most is not None and self.window > most:
            raise ConfigError(f"a window of {self.window:g} s: this model hears {most:g} s of a clip, and would not hear the rest")
        if not min(LEAST_WINDOW, most or LEAST_WINDOW) <= self.window <= 3600 * MAX_HOURS:
            raise ConfigError(f"a window of {self.window:g} s: give at least {LEAST_WINDOW:g} s and at most a day")
        if not LEAST_HOP <= self.hop <= self.window:
            raise ConfigError(f"a hop of {self.hop:g} s: give {LEAST_HOP:g} s to {self.window:g} s, the window")

    @classmethod
    def load(
        cls,
        path: str | Path,
        window: float | None = None,
        hop: float | None = None,
        backbone: str | None = None,
        voice: Voice = "auto",
    ) -> Self:
        """
        Args:
            path: folder of a run, or a file that `ser export` wrote (which needs onnxruntime, and no torch).
            backbone: as of `ser.inference.recogniser.Recogniser.load`; of a run alone.

        Raises:
            DataError: there is no such model; a backbone's files are not to be had.
            ArtefactError: it is damaged, or of another version.
            ConfigError: window, hop or backbone do not fit it, or something that it needs is not installed.
        """
        return cls(load_model(Path(path), backbone), window, hop, voice)

    def predict(
        self, audio: str | Path | IO[bytes] | NDArray[Any], sample_rate: int | None = None, track: Tracker | None = None
    ) -> Prediction:
        """
        Args:
            audio: a file's path, the bytes of one as a stream, or samples: (samples,) or (samples, channels), floating point with full
                scale 1 or signed integers.
            sample_rate: hertz, of samples; a file tells its own.
            track: shows the progress, in seconds of audio, as `ser.system.progress.track` does.

        Raises:
            AudioError: the recording cannot be used; `reason` is the code.
            DataError: the memory does not suffice.
            ValueError: `audio` is something else (bytes, a list, a stream of text); samples without a rate, or of another shape or type; a
                rate beside a file.
        """
        if isinstance(audio, np.ndarray):
            if sample_rate is None:
                raise ValueError("samples need their sample_rate, in hertz")
            return self.hear(ArrayRecording(audio, sample_rate), track)
        if isinstance(audio, io.TextIOBase) or not (isinstance(audio, str | Path) or hasattr(audio, "read")):
            raise ValueError(f"no recording but {type(audio).__name__}: give a path, a stream of bytes, or samples as a numpy array")
        if sample_rate is not None:
            raise ValueError("sample_rate is for samples: a file tells its own")
        with recording_of(audio) as recording:
            return self.hear(recording, track)

    def hear(self, recording: Recording, track: Tracker | None = None) -> Prediction:
        """As `predict`."""
        found = scan(recording, self.silero)
        plan = lay_out(found, self.model.audio, self.window, self.hop)
        rows, attention = self.listen(recording, found, plan.spans, track or untracked)
        answers, speech = weigh(rows, plan)
        spoken = np.flatnonzero(speech).tolist()
        whole = answers[0] if len(answers) == 1 else np.average(answers[spoken], axis=0, weights=speech[spoken])
        emotions = [self.answer(row) if hops else None for row, hops in zip(answers, speech, strict=True)]
        seconds = plan.edges / found.sample_rate
        return Prediction(
            emotion=self.answer(whole) if spoken else UNKNOWN,
            confidence=float(whole.max()),
            probabilities=self.named(whole),
            seconds=found.seconds,
            speech_seconds=min(found.seconds, samples_to_seconds(int(plan.speech.sum()) * found.hop, found.sample_rate)),
            sample_rate=found.sample_rate,
            channels=found.channels,
            container=found.container or None,
            warnings=found.warnings,
            voice="energy" if found.voiced is None else "silero",
            timeline=tuple(self.passage(seconds, answers, cell, cell + 1) for cell in spoken),
            segments=tuple(self.passage(seconds, answers, first, last) for first, last in stretches(emotions)),
            attention=attention,
        )

    def listen(self, recording: Recording, found: Scan, spans: Sequence[Span], track: Tracker) -> tuple[Floats, dict[str, Attention]]:
        """The model's word on each span, (spans, C), and where it listened."""
        pieces, rows, curves = cut(recording, found, spans), [], Curves(found.seconds)
        windows = iter(spans)
        longest = max(last - first for first, last in spans)
        size = max(1, min(BATCH_WINDOWS, BATCH_VALUES // longest))
        if len(spans) <= size:  # over before there is progress to show
            track = untracked
        with track("predict", sum(last - first for first, last in spans) / found.sample_rate) as advance:
            while batch := [(piece, found.sample_rate) for piece in islice(pieces, size)]:
                for of in self.model.hear_all(batch):
                    rows.append(np.asarray(of.probabilities, np.float64))
                    first, last = next(windows)
                    curves.add(of, (first / found.sample_rate, last / found.sample_rate))
                advance(sum(len(piece) for piece, _ in batch) / found.sample_rate)
        return np.stack(rows), curves.attention()

    def answer(self, probabilities: Floats) -> str:
        unsure = probabilities.max() < (self.model.calibration.threshold or 0.0)
        return UNKNOWN if unsure else self.classes[int(probabilities.argmax())]

    def named(self, probabilities: Floats) -> dict[str, float]:
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def passage(self, seconds: Floats, answers: Floats, first: int, last: int) -> Passage:
        """Cells from `first` to before `last`, as one. Of probabilities that all answer alike, the mean answers so too."""
        lengths = np.diff(seconds[first : last + 1])
        mean = answers[first] if last - first == 1 else np.average(answers[first:last], axis=0, weights=lengths)
        return Passage(float(seconds[first]), float(seconds[last]), self.answer(mean), float(mean.max()), self.named(mean))


class Curves:
    """Collects what each window of a recording says of its attention."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.of: dict[str, Curve] = {}

    def add(self, spoken: Spoken, window: tuple[float, float]) -> None:
        """`window` in seconds of the recording."""
        for name, weights in spoken.attention.items():
            rate = spoken.attention_rate[name]
            curve = self.of.setdefault(name, Curve(self.seconds, rate))
            curve.add(weights, rate, window[0] + spoken.start, window)

    def attention(self) -> dict[str, Attention]:
        return {name: curve.attention() for name, curve in self.of.items()}


@contextmanager
def untracked(*_: object) -> Iterator[Advance]:
    """Progress that nobody sees."""
    yield lambda _: None


@dataclass(frozen=True, slots=True)
class Plan:
    """What of a recording is heard, and for which stretches of time it will be answered. All numbers are samples of the recording."""

    spans: list[Span]
    """Heard, each on its own, in the order of their starts."""
    window: int
    """Length of a span."""
    edges: NDArray[np.int64]
    """(cells + 1,)"""
    speech: NDArray[np.int64]
    """(cells,) hops of speech in each."""
    least: Floats
    """(cells,) hops of speech for which each is answered."""


def lay_out(found: Scan, audio: AudioConfig, window_seconds: float, hop_seconds: float) -> Plan:
    """A recording no longer than a window is one span. So is one where what is loud, if that holds all speech, or what is speech, is no
    longer, with a margin that the model's trim cuts; and one without speech."""
    window, hop = (seconds_to_samples(seconds, found.sample_rate) for seconds in (window_seconds, hop_seconds))
    loud = find_speech(frame_power(found.energy, found.hop), audio.trim_top_db)
    speech = loud if found.voiced is None else found.voiced
    if found.num_samples <= window:
        return one_span((0, found.num_samples), speech, found)
    begin, end = bounds(speech if speech.any() else loud, found)
    beyond = VOICE_MARGIN_HOPS * found.hop
    for of, margin in ((loud, MARGIN_HOPS), (speech, VOICE_MARGIN_HOPS)) if audio.trim_silence else ():
        first, last = bounds(of, found)
        if last - first <= window and first - beyond <= begin and end <= last + beyond:  # else it is a door that slams, and no speech
            around = (max(0, min(first - margin * found.hop, begin)), min(found.num_samples, max(last + margin * found.hop, end)))
            return one_span(around, speech, found)
    first, last = bounds(speech, found) if audio.trim_silence else (0, found.num_samples)
    starts = first + np.array(window_starts(last - first, window, hop))
    if not speech.any():
        start = fullest_start(starts, window, loud, found.hop)
        return one_span((start, start + window), speech, found)
    edges = first + cell_edges(last - first, hop)
    return Plan(
        spans=[(start, start + window) for start in spoken_starts(starts, window, speech, found.hop)],
        window=window,
        edges=edges,
        speech=speech_between(speech, edges // found.hop),
        least=least_hops(np.diff(edges) / found.hop),
    )


def bounds(speech: NDArray[np.bool_], found: Scan) -> Span:
    """Where it begins and ends; a recording without any is taken whole."""
    hops = np.flatnonzero(speech)
    return (int(hops[0]) * found.hop, min(found.num_samples, (int(hops[-1]) + 1) * found.hop)) if len(hops) else (0, found.num_samples)


def least_hops(hops: Floats) -> Floats:
    """Of speech, for stretches of so many hops; at least one.

    >>> least_hops(np.array([300.0, 20.0, 1.0])).tolist()
    [12.5, 10.0, 1.0]
    """
    return np.maximum(1, np.minimum(LEAST_SPEECH / TRIM_HOP_SECONDS, hops / 2))


def one_span(span: Span, speech: NDArray[np.bool_], found: Scan) -> Plan:
    """Of which all speech has the answer."""
    return Plan([span], span[1] - span[0], np.array(bounds(speech, found)), np.array([np.count_nonzero(speech)]), np.ones(1))


def spoken_starts(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> list[int]:
    """Of the windows that hold enough speech; if none does, of the one with most."""
    enough = hops_within(starts, window, speech, hop) >= least_hops(np.array(window / hop))
    chosen: list[int] = starts[enough].tolist()
    return chosen or [fullest_start(starts, window, speech, hop)]


def fullest_start(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> int:
    """Of the window with most speech."""
    return int(starts[hops_within(starts, window, speech, hop).argmax()])


def hops_within(starts: NDArray[np.int64], window: int, speech: NDArray[np.bool_], hop: int) -> NDArray[np.int64]:
    """Of speech, in each window."""
    before = np.concatenate([[0], np.cumsum(speech)])
    return np.asarray(before[np.minimum((starts + window) // hop, len(speech))] - before[starts // hop])


def weigh(probabilities: Floats, plan: Plan) -> tuple[Floats, NDArray[np.int64]]:
    """What holds for each cell, (cells, C), and its hops of speech, (cells,): 0 for a cell that is not answered. At least one is answered
    if anybody speaks."""
    if len(plan.speech) == 1:
        return probabilities, plan.speech
    answers, heard = smooth(probabilities, [first for first, _ in plan.spans], plan.window, plan.edges)
    least = np.minimum(plan.least, plan.speech[heard].max())
    return answers, np.where(heard & (plan.speech >= least), np.maximum(plan.speech, 1), 0)


def load_model(path: Path, backbone: str | None) -> Model:
    """Errors as of `Predictor.load`."""
    if path.is_dir():
        return TrainedRun(path, backbone)
    if path.suffix != EXPORTED:
        raise DataError(f"{path} is no model: give the folder of a run, or an exported {EXPORTED} file")
    if not path.is_file():
        raise DataError(f"{path} does not exist")
    if backbone is not None:
        raise ConfigError(f"{path} is an exported model: its backbone, if it has one, is inside")
    from ser.inference.exported import Exported

    exported = Exported.load(path)
    if exported.missing:
        raise ConfigError(f"{path}: {exported.missing}")
    return exported


@dataclass(frozen=True, slots=True)
class Said:
    """What a run's model says of one clip."""

    probabilities: Floats
    """(C,) calibrated"""
    attention: Mapping[str, NDArray[np.float32]] = field(default_factory=dict)
    attention_rate: Mapping[str, float] = field(default_factory=dict)
    start: float = 0.0
    """These as of `Spoken`."""


class TrainedRun:
    """The model of a run's folder, with what was calibrated for it."""

    def __init__(self, folder: Path, backbone: str | None = None) -> None:
        """Errors as of `Predictor.load`."""
        from ser.inference.recogniser import Recogniser
        from ser.runs.run import Run

        run = Run(folder)
        if not run.best.is_file():
            raise DataError(f"{folder} is no folder of a trained run: it has no {run.best.name}")
        self.recogniser = Recogniser.load(run.best, backbone)
        self.calibration = calibration_of(run.calibration, self.recogniser.weights)
        self.classes, self.audio = self.recogniser.classes, self.recogniser.audio

    def hear_all(self, clips: Sequence[Clip]) -> list[Said]:
        try:
            heard = self.recogniser.hear_all(clips)
        except ClipError as error:
            raise AudioError("not-finite", str(error)) from None
        return [Said(self.calibration.apply(of.probabilities), of.attention, of.attention_rate, of.start) for of in heard]
