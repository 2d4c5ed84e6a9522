"""`ser predict --mic`: what a trained model says of the last seconds, again and again, as live bars or as lines of JSON."""

import json
import sys
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

from ser.audio import microphone
from ser.audio.microphone import Moment, limited, moments
from ser.audio.recording import MAX_HOURS
from ser.audio.screening import dbfs
from ser.audio.vad_silero import Voice
from ser.audio.waveform import Waveform
from ser.errors import AudioError, ConfigError
from ser.inference.choose_model import choose_model
from ser.inference.formats import DIGITS, rounded
from ser.inference.prediction import Prediction
from ser.inference.predictor import Predictor
from ser.system.console import Output, out, say
from ser.units import seconds_to_samples

if TYPE_CHECKING:  # who writes lines does without
    from rich.console import Console, ConsoleOptions, Group, RenderResult

TABLE, LINES = "table", "jsonl"
HOP = 0.5
"""Seconds from one answer to the next."""
HALF_LIFE = 0.5
"""Seconds after which an answer counts half in what is shown."""
LATE_HOPS = 4
"""Unheard in all, from which on it is said: only the first answers of a model are slow."""
QUIET = -60.0
"""dBFS: where the level meter begins. It ends at full scale."""
NO_SPEECH = "no-speech"


class Source(Protocol):
    """Where the sound comes from."""

    @property
    def sample_rate(self) -> int:
        """Hz"""

    def blocks(self) -> Iterator[Waveform]: ...


@dataclass(frozen=True, slots=True)
class Answer:
    """What is said of the last seconds."""

    moment: Moment
    level: float
    """dBFS of what is new; minus infinity for digital silence."""
    prediction: Prediction | None
    """Of the last window alone; None if it cannot be heard."""
    reason: str | None
    """Why there is no emotion: too-short, silent or no-speech."""
    emotion: str | None
    """What the smoothed probabilities answer; None if there is nothing to answer for."""
    probabilities: Mapping[str, float] | None
    """Smoothed."""

    @property
    def warnings(self) -> tuple[str, ...]:
        """Codes of `ser.reasons`."""
        return () if self.prediction is None else tuple(code for code in self.prediction.warnings if code != NO_SPEECH)


Show = Callable[[Answer], None]


def predict_microphone(
    form: str = TABLE,
    seconds: float | None = None,
    model: str | None = None,
    window: float | None = None,
    hop: float | None = None,
    backbone: str | None = None,
    voice: Voice = "auto",
) -> None:
    """Show what a model hears until Ctrl-C, which is the way to end it, or for so long.

    Args:
        form: table, which is live bars on a terminal and lines of JSON elsewhere; or jsonl.
        seconds: after which it ends by itself.
        model: as of `ser.inference.choose_model.choose_model`.
        hop: seconds from one answer to the next; None: half a second.
        window, backbone, voice: as of `Predictor.load`.

    Raises:
        ConfigError: no such format here; not that many seconds; miniaudio is not installed; else as of `Predictor.load`.
        DataError: there is no microphone, or it gives no more sound; else as of `Predictor.load`.
    """
    if form not in {TABLE, LINES}:
        raise ConfigError(f"--format {form}: with --mic choose {TABLE} or {LINES}")
    if seconds is not None and not 0 < seconds <= 3600 * MAX_HOURS:
        raise ConfigError(f"--seconds {seconds:g}: give more than 0, and at most a day")
    with microphone.Microphone() as source:
        predictor = Predictor.load(choose_model(model, backbone), window, hop, backbone, voice)
        show_answers(listen(predictor, source, hop or min(HOP, predictor.window), seconds), predictor, form)


def show_answers(answers: Iterator[Answer], predictor: Predictor, form: str) -> None:
    """Until they end, or somebody ends them, or nobody reads on."""
    live = form == TABLE and sys.stdout.isatty()
    counts: Counter[str | None] = Counter()
    with bars(predictor) if live else lines() as show:
        try:
            for answer in answers:
                show(answer)
                counts[answer.emotion] += 1
        except KeyboardInterrupt:
            pass
        except BrokenPipeError:
            Output().on_broken_pipe()
    if live:
        say(summary(counts))


# -- hearing ------------------------------------------------------------------------------


def listen(predictor: Predictor, source: Source, hop: float, seconds: float | None = None) -> Iterator[Answer]:
    """An answer every hop, and one for the end; errors as of `Microphone.blocks`."""
    blocks, rate = source.blocks(), source.sample_rate
    if seconds is not None:
        blocks = limited(blocks, seconds_to_samples(seconds, rate))
    smoothed: NDArray[np.float64] | None = None
    for moment in moments(blocks, rate, predictor.window, hop):
        prediction, reason = hear(predictor, moment.samples, rate)
        if prediction is None or reason is not None:
            smoothed = None
        else:
            smoothed = blend(smoothed, np.array(list(prediction.probabilities.values())), moment.newest / rate)
        newest = moment.samples[-moment.newest :]
        yield Answer(
            moment=moment,
            level=dbfs(newest, float(newest.mean())),
            prediction=prediction,
            reason=reason,
            emotion=None if smoothed is None else predictor.answer(smoothed),
            probabilities=None if smoothed is None else predictor.named(smoothed),
        )


def hear(predictor: Predictor, samples: Waveform, rate: int) -> tuple[Prediction | None, str | None]:
    """What is said of these samples, and why there is no emotion in them."""
    try:
        prediction = predictor.predict(samples, rate)
    except AudioError as error:
        return None, error.reason
    return prediction, NO_SPEECH if NO_SPEECH in prediction.warnings else None


def blend(before: NDArray[np.float64] | None, now: NDArray[np.float64], seconds: float) -> NDArray[np.float64]:
    """Exponential smoothing.

    >>> blend(np.array([1.0, 0.0]), np.array([0.0, 1.0]), seconds=1.0).tolist()
    [0.25, 0.75]
    """
    if before is None:
        return now
    old: float = 0.5 ** (seconds / HALF_LIFE)
    return old * before + (1 - old) * now


# -- lines --------------------------------------------------------------------------------


@contextmanager
def lines() -> Iterator[Show]:
    """An object a line."""
    missed = 0

    def show(answer: Answer) -> None:
        nonlocal missed
        sys.stdout.write(json.dumps(record(answer), allow_nan=False, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        if missed < LATE_HOPS <= missed + answer.moment.missed:
            print(f"ser: {LATE}", file=sys.stderr)
        missed += answer.moment.missed

    yield show


LATE = "the model needs longer than a hop lasts, so some go by unheard: give a longer --hop, or an exported model"


def record(answer: Answer) -> dict[str, Any]:
    """The keys are always the same; what is not known is None."""
    of = answer.probabilities
    return {
        "seconds": round(answer.moment.seconds, DIGITS),
        "emotion": answer.emotion,
        "confidence": of and round(max(of.values()), DIGITS),
        "probabilities": of and rounded(of),
        "level": round(answer.level, 1) if np.isfinite(answer.level) else None,
        "warnings": list(answer.warnings),
        "reason": answer.reason,
        "missed": answer.moment.missed,
    }


# -- bars ---------------------------------------------------------------------------------


@contextmanager
def bars(predictor: Predictor) -> Iterator[Show]:
    """A bar for each emotion, drawn anew with every answer."""
    from rich.live import Live

    missed = 0
    with Live(frame(None, predictor, missed), console=out(), auto_refresh=False) as live:

        def show(answer: Answer) -> None:
            nonlocal missed
            missed += answer.moment.missed
            live.update(frame(answer, predictor, missed), refresh=True)

        yield show


def frame(answer: Answer | None, predictor: Predictor, missed: int) -> "Group":
    """What the terminal shows: bars, the level, and the answer."""
    from rich.console import Group
    from rich.table import Table

    table = Table.grid(padding=(0, 1), expand=True)
    table.add_column(no_wrap=True)
    table.add_column(ratio=1)
    table.add_column(justify="right", no_wrap=True)
    of = answer.probabilities if answer else None
    for name in predictor.classes:
        best = of is not None and answer is not None and answer.emotion == name
        share = of[name] if of else 0.0
        table.add_row(
            name, Bar(share, "bold green" if best else "cyan"), f"{100 * share:.0f} %" if of else "-", style="bold" if best else ""
        )
    table.add_row(*level_row(answer))
    late = (f"({LATE})",) if missed >= LATE_HOPS else ()
    return Group(table, *late, *status(answer, predictor.window))


@dataclass(frozen=True, slots=True)
class Bar:
    """As much of a line as `share`, 0 to 1, tells."""

    share: float
    style: str

    def __rich_console__(self, _console: "Console", options: "ConsoleOptions") -> "RenderResult":
        from rich.text import Text

        eighths = round(8 * self.share * options.max_width)
        text = "#" * round(eighths / 8) if options.ascii_only else "█" * (eighths // 8) + " ▏▎▍▌▋▊▉"[eighths % 8]
        yield Text(text[: options.max_width], self.style)


def level_row(answer: Answer | None) -> tuple[Any, ...]:
    """The level meter; red where samples stand at full scale."""
    level = answer.level if answer else -np.inf
    clipped = answer is not None and "clipped" in answer.warnings
    share = min(1.0, max(0.0, 1 - level / QUIET))
    return "level", Bar(share, "red" if clipped else "yellow"), f"{level:.0f} dB" if np.isfinite(level) else "-"


REASONS = {"silent": "silence", "too-short": "too little sound", NO_SPEECH: "nobody speaks"}


def status(answer: Answer | None, window: float) -> tuple[str, str]:
    """The lines below the bars."""
    if answer is None:
        return f"{clock(0)}  listening", "Ctrl-C ends"
    remarks = " (clipped: too loud)" if "clipped" in answer.warnings else ""
    what = answer.emotion or f"nothing is heard: {REASONS.get(answer.reason or '', answer.reason)}"
    heard = min(window, answer.moment.seconds)
    return f"{clock(answer.moment.seconds)}  {what}{remarks}", f"of the last {heard:.1f} s; Ctrl-C ends"


def clock(seconds: float) -> str:
    """
    >>> clock(3725.9)
    '1:02:05'
    """
    whole = int(seconds)
    return f"{whole // 3600}:{whole // 60 % 60:02}:{whole % 60:02}"


def summary(counts: Counter[str | None]) -> str:
    """
    >>> summary(Counter({"sad": 3, None: 1}))
    'of 4 answers: sad 75 %, nothing heard 25 %'
    """
    total = counts.total()
    if not total:
        return "nothing was heard"
    shares = ", ".join(f"{name or 'nothing heard'} {100 * count / total:.0f} %" for name, count in counts.most_common())
    return f"of {total} answers: {shares}"
