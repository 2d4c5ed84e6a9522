"""What a trained model says of any recording: one answer for the whole, and one for each stretch of time (docs/predict.md).

A recording is screened as the clips of the corpora are, and may be of any length. One no longer than the window is heard whole. In a longer
one, speech is told from silence (`ser.audio.vad_silero`, `ser.audio.vad_energy`), windows without speech are skipped, and what the
others say is smoothed (`ser.inference.windows`).
"""

import io
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from itertools import islice
from pathlib import Path
from typing import IO, Self

import numpy as np
from numpy.typing import NDArray

from ser.audio.recording import MAX_HOURS, ArrayRecording, Recording
from ser.audio.scan import Scan, cut, scan
from ser.audio.spool import recording_of
from ser.audio.vad_silero import Voice, detector
from ser.errors import ConfigError
from ser.home import user_path
from ser.inference.attention import Attention, Curve
from ser.inference.choose_model import choose_model
from ser.inference.clip_output import ClipOutput
from ser.inference.load_model import load_model
from ser.inference.options import PredictOptions
from ser.inference.plan import lay_out, weigh
from ser.inference.prediction import Floats, Model, Passage, Prediction, Span
from ser.inference.windows import stretches
from ser.units import samples_to_seconds

UNKNOWN = "unknown"
WHOLE_WINDOW = 8.0
"""Seconds, for a model that was trained on whole clips: longer than any of the four corpora."""
LEAST_WINDOW = 0.5
"""Seconds."""
LEAST_HOP = 0.1
"""Seconds."""
BATCH_WINDOWS = 16
BATCH_VALUES = 1 << 22
"""Samples that are heard at once, at most: 16 MiB, and the copies that the model makes of them."""

Advance = Callable[[float], None]
Tracker = Callable[[str, float], AbstractContextManager[Advance]]
"""As `ser.system.progress.track` with seconds of audio for its unit."""


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
            ArtefactError: it is corrupted, or of another version.
            ConfigError: window, hop or backbone do not fit it, or something that it needs is not installed.
        """
        return cls.from_options(PredictOptions(Path(path), window, hop, backbone, voice))

    @classmethod
    def from_options(cls, options: PredictOptions) -> Self:
        """As `load`, and:

        Raises:
            ConfigError: no model is named, and none is found.
        """
        return cls(load_model(choose_model(options), options.backbone), options.window, options.hop, options.voice)

    def predict(
        self, audio: str | Path | IO[bytes] | NDArray[np.generic], sample_rate: int | None = None, track: Tracker | None = None
    ) -> Prediction:
        """
        Args:
            audio: a file's path, the bytes of one as a stream, or samples: (samples,) or (samples, channels), floating point with full
                scale 1 or signed integers.
            sample_rate: hertz, of samples; a file tells its own.
            track: shows the progress, in seconds of audio, as `ser.system.progress.track` does.

        Raises:
            AudioError: the recording cannot be used; `reason` is the code.
            DataError: out of memory.
            ValueError: `audio` is something else (bytes, a list, a stream of text); samples without a rate, or of another shape or type; a
                rate beside a file.
        """
        if isinstance(audio, np.ndarray):
            if sample_rate is None:
                raise ValueError("samples need their sample_rate, in hertz")
            return self.predict_recording(ArrayRecording(audio, sample_rate), track)
        if isinstance(audio, io.TextIOBase) or not (isinstance(audio, str | Path) or hasattr(audio, "read")):
            raise ValueError(f"no recording but {type(audio).__name__}: give a path, a stream of bytes, or samples as a numpy array")
        if sample_rate is not None:
            raise ValueError("sample_rate is for samples: a file tells its own")
        with recording_of(user_path(audio) if isinstance(audio, str | Path) else audio) as recording:
            return self.predict_recording(recording, track)

    def predict_recording(self, recording: Recording, track: Tracker | None = None) -> Prediction:
        """As `predict`."""
        scanned = scan(recording, self.silero)
        plan = lay_out(scanned, self.model.audio, self.window, self.hop)
        rows, attention = self.infer_spans(recording, scanned, plan.spans, track or untracked)
        answers, speech = weigh(rows, plan)
        answered = np.flatnonzero(speech).tolist()
        whole = answers[0] if len(answers) == 1 else np.average(answers[answered], axis=0, weights=speech[answered])
        emotions = [self.answer(row) if hops else None for row, hops in zip(answers, speech, strict=True)]
        seconds = plan.edges / scanned.sample_rate
        return Prediction(
            emotion=self.answer(whole) if answered else UNKNOWN,
            confidence=float(whole.max()),
            probabilities=self.by_class(whole),
            seconds=scanned.seconds,
            speech_seconds=min(scanned.seconds, samples_to_seconds(int(plan.speech.sum()) * scanned.hop, scanned.sample_rate)),
            sample_rate=scanned.sample_rate,
            channels=scanned.channels,
            container=scanned.container or None,
            warnings=scanned.warnings,
            voice="energy" if scanned.voiced is None else "silero",
            timeline=tuple(self.passage(seconds, answers, cell, cell + 1) for cell in answered),
            segments=tuple(self.passage(seconds, answers, first, last) for first, last in stretches(emotions)),
            attention=attention,
        )

    def infer_spans(
        self, recording: Recording, scanned: Scan, spans: Sequence[Span], track: Tracker
    ) -> tuple[Floats, dict[str, Attention]]:
        """The model's probabilities for each span, (spans, C), and its attention over the recording."""
        pieces, rows, curves = cut(recording, scanned, spans), [], Curves(scanned.seconds)
        windows = iter(spans)
        longest = max(last - first for first, last in spans)
        size = max(1, min(BATCH_WINDOWS, BATCH_VALUES // longest))
        if len(spans) <= size:  # over before there is progress to show
            track = untracked
        with track("predict", sum(last - first for first, last in spans) / scanned.sample_rate) as advance:
            while batch := [(piece, scanned.sample_rate) for piece in islice(pieces, size)]:
                for output in self.model.infer_clips(batch):
                    rows.append(np.asarray(output.probabilities, np.float64))
                    first, last = next(windows)
                    curves.add(output, (first / scanned.sample_rate, last / scanned.sample_rate))
                advance(sum(len(piece) for piece, _ in batch) / scanned.sample_rate)
        return np.stack(rows), curves.attention()

    def answer(self, probabilities: Floats) -> str:
        unsure = probabilities.max() < (self.model.calibration.threshold or 0.0)
        return UNKNOWN if unsure else self.classes[int(probabilities.argmax())]

    def by_class(self, probabilities: Floats) -> dict[str, float]:
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def passage(self, seconds: Floats, answers: Floats, first: int, last: int) -> Passage:
        """Cells from `first` to before `last`, as one. Of probabilities that all answer alike, the mean answers so too."""
        lengths = np.diff(seconds[first : last + 1])
        mean = answers[first] if last - first == 1 else np.average(answers[first:last], axis=0, weights=lengths)
        return Passage(float(seconds[first]), float(seconds[last]), self.answer(mean), float(mean.max()), self.by_class(mean))


class Curves:
    """Collects the attention of every window of a recording."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.by_name: dict[str, Curve] = {}

    def add(self, output: ClipOutput, window: tuple[float, float]) -> None:
        """`window` in seconds of the recording."""
        for name, weights in output.attention.items():
            rate = output.attention_rate[name]
            curve = self.by_name.setdefault(name, Curve(self.seconds, rate))
            curve.add(weights, rate, window[0] + output.start, window)

    def attention(self) -> dict[str, Attention]:
        return {name: curve.attention() for name, curve in self.by_name.items()}


@contextmanager
def untracked(*_: object) -> Iterator[Advance]:
    """Progress that nobody sees."""
    yield lambda _: None
