"""Predict a recording of any length: one answer for the whole, and one for each stretch of time (docs/predict.md).

A recording is screened as the clips of the corpora are, and may be of any length. One that is no longer than the window is predicted as a
whole. In a longer one, speech is detected (`ser.audio.vad_silero`, `ser.audio.vad_energy`), windows without speech are skipped, and the
probabilities of the others are smoothed (`ser.inference.windows`).
"""

import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import replace
from itertools import islice
from typing import Literal, Self

import numpy as np

from ser.audio.recording import MAX_HOURS, Recording
from ser.audio.scan import Scan, cut, scan
from ser.audio.vad_silero import Voice, detector
from ser.errors import AudioError, ConfigError
from ser.inference.arguments import Audio, open_audio
from ser.inference.attention import Attention, Curve
from ser.inference.choose_model import choose_model
from ser.inference.clip_output import ClipOutput
from ser.inference.load_model import load_model
from ser.inference.options import PredictOptions
from ser.inference.plan import Plan, lay_out, weigh
from ser.inference.prediction import Embedding, Floats, Model, Passage, Prediction, Span
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
"""The highest number of samples that are inferred at once: 16 MiB, and the copies that the model makes of them."""

Advance = Callable[[float], None]
Tracker = Callable[[str, float], AbstractContextManager[Advance]]
"""A function like `ser.system.progress.track`, with seconds of audio as its unit."""


class Predictor:
    """A trained model that predicts the emotion in recordings of any length.

    It may be called from several threads at once. A predictor that was loaded from a path can be pickled; the copy loads the model again.

    Attributes:
        classes: the emotions that the model distinguishes, in the order of the probabilities.
        window: length of a window in seconds.
        hop: seconds from one window to the next.

    Example:
        ```python
        predictor = ser.load("runs/NAME")
        prediction = predictor.predict("call.wav")
        print(prediction.emotion, prediction.confidence)
        ```
    """

    options: PredictOptions | None = None
    """The options it was loaded with; None if it was made from a model in memory."""

    def __init__(self, model: Model, window: float | None = None, hop: float | None = None, voice: Voice = "auto") -> None:
        """
        Args:
            window: length of a window in seconds; None: the length that the model was trained on, or 8 s if that was whole clips.
            hop: seconds from one window to the next; None: half a window.
            voice: the speech detector: silero, energy, or auto, which is silero where the extra `voice` is installed.

        Raises:
            ConfigError: the window is shorter than half a second, or longer than the model's limit or a day; the hop is shorter than 0.1 s
                or longer than the window; silero is chosen and not installed.
        """
        most = model.audio.duration
        self.model, self.classes, self.silero = model, model.classes, detector(voice)
        self.window = window if window is not None else most or WHOLE_WINDOW
        self.hop = hop if hop is not None else self.window / 2
        if most is not None and self.window > most:
            raise ConfigError(f"a window of {self.window:g} s is too long: this model uses {most:g} s of a clip, and would ignore the rest")
        if not min(LEAST_WINDOW, most or LEAST_WINDOW) <= self.window <= 3600 * MAX_HOURS:
            raise ConfigError(f"a window of {self.window:g} s is not possible: use at least {LEAST_WINDOW:g} s and at most a day")
        if not LEAST_HOP <= self.hop <= self.window:
            raise ConfigError(
                f"a hop of {self.hop:g} s is not possible: use {LEAST_HOP:g} s to {self.window:g} s, the length of the window"
            )

    @classmethod
    def load(
        cls,
        path: str | os.PathLike[str],
        window: float | None = None,
        hop: float | None = None,
        backbone: str | None = None,
        voice: Voice = "auto",
    ) -> Self:
        """Load a trained model.

        Args:
            path: folder of a run, or a file written by `ser export` (which uses onnxruntime and not torch). `~` is the home folder.
            backbone: see `ser.inference.recogniser.Recogniser.load`; only for a run.

        Raises:
            DataError: there is no such model; the files of a backbone cannot be downloaded.
            ArtefactError: it is corrupted, or written by another version.
            ConfigError: window, hop or backbone do not fit it, or something that it needs is not installed.
        """
        return cls.from_options(PredictOptions(os.fspath(path), window, hop, backbone, voice))

    @classmethod
    def from_options(cls, options: PredictOptions) -> Self:
        """Load the model that the options name, or the default one. Raises the errors of `load`, and:

        Raises:
            ConfigError: no model is named, and none is found.
        """
        path = choose_model(options)
        predictor = cls(load_model(path, options.backbone), options.window, options.hop, options.voice)
        predictor.options = replace(options, model=path.absolute())
        return predictor

    def __reduce__(self) -> tuple[Callable[[PredictOptions], Self], tuple[PredictOptions]]:
        """A pickle holds the path of the model, not its weights."""
        if self.options is None:
            raise TypeError("only a predictor loaded from a path can be pickled: use ser.load")
        return type(self).from_options, (self.options,)

    def __repr__(self) -> str:
        source = type(self.model).__name__ if self.options is None else str(self.options.model)
        return f"<Predictor {source}: {', '.join(self.classes)}>"

    def predict(self, audio: Audio, sample_rate: int | None = None, track: Tracker | None = None) -> Prediction:
        """Predict the emotion in one recording.

        Args:
            audio: the path of a file, a binary stream with the content of one, or samples: (samples,) or (samples, channels), floating
                point with full scale 1 or signed integers.
            sample_rate: of samples, in hertz; the rate of a file is read from the file.
            track: shows progress in seconds of audio, as `ser.system.progress.track` does.

        Returns:
            One answer for the whole recording, and one for each stretch of time.

        Raises:
            AudioError: the recording cannot be used; `reason` is the code.
            DataError: out of memory.
            ValueError: an argument has the wrong type or value, such as a list, samples without a rate, or a rate beside a file; the
                message says what to pass instead.

        Example:
            ```python
            prediction = predictor.predict("call.wav")
            prediction = predictor.predict(samples, sample_rate=16_000)
            ```
        """
        with open_audio(audio, sample_rate) as recording:
            return self.predict_recording(recording, track)

    def predict_many(
        self, paths: Iterable[str | os.PathLike[str]], on_error: Literal["yield", "raise"] = "yield"
    ) -> Iterator[Prediction | AudioError]:
        """Predict the emotion in several files, one after the other, in constant memory.

        Args:
            paths: of files.
            on_error: what to do with a file that cannot be used: `yield` its error in place of a prediction and go on, or `raise` it.

        Returns:
            An iterator over the predictions or errors, in the order of the paths.

        Raises:
            AudioError: a file cannot be used and `on_error` is `raise`.
            ValueError: another value of `on_error`; `paths` is a single path.

        Example::

            for path, result in zip(paths, predictor.predict_many(paths)):
                print(path, result.reason if isinstance(result, ser.AudioError) else result.emotion)
        """
        if on_error not in {"yield", "raise"}:
            raise ValueError(f'on_error={on_error!r}: give "yield" or "raise"')
        if isinstance(paths, str | bytes | os.PathLike):
            raise ValueError("predict_many takes a list of paths; give a single path to predict")
        return self.predict_each(paths, on_error)

    def predict_each(self, paths: Iterable[str | os.PathLike[str]], on_error: str) -> Iterator[Prediction | AudioError]:
        """As `predict_many`, with checked arguments."""
        for path in paths:
            try:
                yield self.predict(path)
            except AudioError as error:
                if on_error == "raise":
                    error.add_note(f"while predicting {os.fspath(path)}")
                    raise
                yield error

    def embed(self, audio: Audio, sample_rate: int | None = None, track: Tracker | None = None) -> Embedding:
        """The embedding of one recording: a vector that describes it to the model, for clustering, search or another classifier.

        It is the input of the model's classifier. Of a recording that is longer than the window, it is the mean over the windows with
        speech, each weighted by the speech in it.

        Args:
            audio: see `predict`.
            sample_rate: see `predict`.
            track: see `predict`.

        Returns:
            (D,) float32; D depends on the model. A run and its exported file give the same within 1e-5 of the values.

        Raises:
            AudioError: the recording cannot be used; `reason` is the code.
            DataError: out of memory.
            ValueError: see `predict`.

        Example:
            ```python
            vectors = np.stack([predictor.embed(path) for path in paths])
            ```
        """
        return self.predict_and_embed(audio, sample_rate, track)[1]

    def predict_and_embed(self, audio: Audio, sample_rate: int | None = None, track: Tracker | None = None) -> tuple[Prediction, Embedding]:
        """The results of both `predict` and `embed`, in the time of one of them."""
        with open_audio(audio, sample_rate) as recording:
            return self.infer_recording(recording, track)

    def predict_recording(self, recording: Recording, track: Tracker | None = None) -> Prediction:
        """As `predict`."""
        return self.infer_recording(recording, track)[0]

    def infer_recording(self, recording: Recording, track: Tracker | None = None) -> tuple[Prediction, Embedding]:
        """See `predict_and_embed`."""
        scanned = scan(recording, self.silero)
        plan = lay_out(scanned, self.model.audio, self.window, self.hop)
        rows, curves, mean = [], Curves(scanned.seconds), MeanEmbedding()
        outputs = self.infer_spans(recording, scanned, plan.spans, track or untracked)
        for output, (first, last), weight in zip(outputs, plan.spans, plan.speech_in_regions, strict=True):
            rows.append(np.asarray(output.probabilities, np.float64))
            curves.add(output, (first / scanned.sample_rate, last / scanned.sample_rate))
            mean.add(output.embedding, weight)
        return self.prediction(scanned, plan, np.stack(rows), curves.attention()), mean.mean()

    def prediction(self, scanned: Scan, plan: Plan, rows: Floats, attention: dict[str, Attention]) -> Prediction:
        """Make the prediction from the probabilities of a plan's regions, (regions, C)."""
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

    def infer_spans(self, recording: Recording, scanned: Scan, spans: Sequence[Span], track: Tracker) -> Iterator[ClipOutput]:
        """Infer each span; the outputs are in the order of the spans."""
        pieces = cut(recording, scanned, spans)
        longest = max(last - first for first, last in spans)
        size = max(1, min(BATCH_WINDOWS, BATCH_VALUES // longest))
        if len(spans) <= size:  # done before there is progress to show
            track = untracked
        with track("predict", sum(last - first for first, last in spans) / scanned.sample_rate) as advance:
            while batch := [(piece, scanned.sample_rate) for piece in islice(pieces, size)]:
                yield from self.model.infer_clips(batch)
                advance(sum(len(piece) for piece, _ in batch) / scanned.sample_rate)

    def answer(self, probabilities: Floats) -> str:
        unsure = probabilities.max() < (self.model.calibration.threshold or 0.0)
        return UNKNOWN if unsure else self.classes[int(probabilities.argmax())]

    def by_class(self, probabilities: Floats) -> dict[str, float]:
        return dict(zip(self.classes, probabilities.tolist(), strict=True))

    def passage(self, seconds: Floats, answers: Floats, first: int, last: int) -> Passage:
        """The cells from `first` to before `last` as one segment. If all have the same likeliest class, so has the mean."""
        lengths = np.diff(seconds[first : last + 1])
        mean = answers[first] if last - first == 1 else np.average(answers[first:last], axis=0, weights=lengths)
        return Passage(float(seconds[first]), float(seconds[last]), self.answer(mean), float(mean.max()), self.by_class(mean))


class MeanEmbedding:
    """The weighted mean of the embeddings of all windows, in the memory of one; the plain mean while all weights are zero."""

    def __init__(self) -> None:
        self.plain: Floats | float = 0.0
        self.weighted: Floats | float = 0.0
        self.count = 0
        self.weight = 0.0

    def add(self, embedding: Embedding, weight: float) -> None:
        self.plain = self.plain + embedding.astype(np.float64)
        self.weighted = self.weighted + weight * embedding.astype(np.float64)
        self.count += 1
        self.weight += weight

    def mean(self) -> Embedding:
        return np.asarray(self.weighted / self.weight if self.weight else self.plain / self.count, np.float32)


class Curves:
    """Accumulates the attention of every window of a recording."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.by_name: dict[str, Curve] = {}

    def add(self, output: ClipOutput, window: tuple[float, float]) -> None:
        """Add one output; `window` is in seconds of the recording."""
        for name, weights in output.attention.items():
            rate = output.attention_rate[name]
            curve = self.by_name.setdefault(name, Curve(self.seconds, rate))
            curve.add(weights, rate, window[0] + output.start, window)

    def attention(self) -> dict[str, Attention]:
        return {name: curve.attention() for name, curve in self.by_name.items()}


@contextmanager
def untracked(*_: object) -> Iterator[Advance]:
    """Progress that is not displayed."""
    yield lambda _: None
