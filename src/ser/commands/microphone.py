"""`ser predict --mic`: continuous predictions for the last seconds, as live bars or as lines of JSON."""

import json
import sys
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np

from ser.audio import microphone
from ser.audio.recording import MAX_HOURS
from ser.commands.microphone_bars import LATE, LATE_HOPS, Show, bars, summary
from ser.errors import ConfigError
from ser.inference.live import LiveAnswer, predict_live
from ser.inference.options import PredictOptions
from ser.inference.prediction import DIGITS, rounded
from ser.inference.predictor import Predictor
from ser.system.console import Output, say

TABLE = "table"
"""The format for a reader."""
LINES = "jsonl"
"""The format with one JSON object on each line."""
HOP = 0.5
"""The default hop in seconds from one answer to the next."""


def predict_microphone(options: PredictOptions, form: str = TABLE, seconds: float | None = None) -> None:
    """Show live predictions until Ctrl-C, or for so many seconds.

    Args:
        options: `hop` is the time from one answer to the next in seconds; None: half a second.
        form: table, which is live bars on a terminal and lines of JSON elsewhere; or jsonl.
        seconds: duration; None: until Ctrl-C.

    Raises:
        ConfigError: the format or the duration is not possible; miniaudio is not installed; or see `Predictor.from_options`.
        DataError: there is no microphone, or it no longer delivers sound; or see `Predictor.from_options`.
    """
    if form not in {TABLE, LINES}:
        raise ConfigError(f"--format {form}: with --mic choose {TABLE} or {LINES}")
    if seconds is not None and not 0 < seconds <= 3600 * MAX_HOURS:
        raise ConfigError(f"--seconds {seconds:g}: give more than 0, and at most a day")
    with microphone.Microphone() as source:
        predictor = Predictor.from_options(options)
        show_answers(predict_live(predictor, source, options.hop or min(HOP, predictor.window), seconds), predictor, form)


def show_answers(answers: Iterator[LiveAnswer], predictor: Predictor, form: str) -> None:
    """Print answers until they end, until Ctrl-C, or until the reader closes the pipe."""
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


@contextmanager
def lines() -> Iterator[Show]:
    """One JSON object on each line."""
    missed = 0

    def show(answer: LiveAnswer) -> None:
        nonlocal missed
        sys.stdout.write(json.dumps(record(answer), allow_nan=False, ensure_ascii=False) + "\n")
        sys.stdout.flush()
        if missed < LATE_HOPS <= missed + answer.moment.missed:
            print(f"ser: {LATE}", file=sys.stderr)
        missed += answer.moment.missed

    yield show


def record(answer: LiveAnswer) -> dict[str, object]:
    """The record of an answer; the keys are always the same, unknown values are None."""
    probabilities = answer.probabilities
    return {
        "seconds": round(answer.moment.seconds, DIGITS),
        "emotion": answer.emotion,
        "confidence": None if probabilities is None else round(max(probabilities.values()), DIGITS),
        "probabilities": None if probabilities is None else rounded(probabilities),
        "level": round(answer.level, 1) if np.isfinite(answer.level) else None,
        "warnings": list(answer.warnings),
        "reason": answer.reason,
        "missed": answer.moment.missed,
    }
