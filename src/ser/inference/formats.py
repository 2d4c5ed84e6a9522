"""Predictions as text: JSON, JSON lines, CSV, RTTM, SubRip. Each is made as the recordings are heard, so a long list needs no memory.

Names are those of the files with control characters, and bytes that are no UTF-8, escaped. JSON is strict; CSV cells that a spreadsheet
would run as a formula are neutralised.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ser.errors import AudioError
from ser.inference.attention import Attention
from ser.inference.prediction import Passage, Prediction
from ser.system.tables import neutralise
from ser.wording import printable

DIGITS = 6
"""Behind the point, of probabilities and seconds."""
ATTENTION_DIGITS = 3
"""Of what is drawn, and long."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of one recording: a prediction, or the reason why there is none."""

    name: str
    prediction: Prediction | None = None
    error: AudioError | None = None


def rounded(probabilities: Mapping[str, float]) -> dict[str, float]:
    return {name: round(value, DIGITS) for name, value in probabilities.items()}


def record(outcome: Outcome, attention: bool = False) -> dict[str, Any]:
    """One recording for JSON. The keys are always the same; what is not known is None.

    Args:
        attention: with where the model listened, which may be as much as all the rest.
    """
    of, error = outcome.prediction, outcome.error
    listened = {"attention": of and {name: attention_record(curve) for name, curve in of.attention.items()}}
    return {
        "path": printable(outcome.name),
        "emotion": of and of.emotion,
        "confidence": of and round(of.confidence, DIGITS),
        "probabilities": of and rounded(of.probabilities),
        "seconds": of and round(of.seconds, DIGITS),
        "speech_seconds": of and round(of.speech_seconds, DIGITS),
        "sample_rate": of and of.sample_rate,
        "channels": of and of.channels,
        "container": of and of.container,
        "warnings": of and list(of.warnings),
        "voice": of and of.voice,
        "segments": of and [passage_record(passage) for passage in of.segments],
        "timeline": of and [passage_record(passage) for passage in of.timeline],
        **(listened if attention else {}),
        "reason": error and error.reason,
        "detail": error and printable(error.detail),
    }


def passage_record(passage: Passage) -> dict[str, Any]:
    return {
        "start": round(passage.start, DIGITS),
        "end": round(passage.end, DIGITS),
        "emotion": passage.emotion,
        "confidence": round(passage.confidence, DIGITS),
        "probabilities": rounded(passage.probabilities),
    }


def attention_record(curve: Attention) -> dict[str, Any]:
    return {"rate": round(curve.rate, DIGITS), "weights": [round(weight, ATTENTION_DIGITS) for weight in curve.weights]}


def dump(outcome: Outcome) -> str:
    return json.dumps(record(outcome), allow_nan=False, ensure_ascii=False)


def as_json(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """One array; a recording a line."""
    before = "[\n"
    for outcome in outcomes:
        yield before + dump(outcome)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def as_jsonl(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """One object a line, as soon as it is known."""
    return (dump(outcome) + "\n" for outcome in outcomes)


def as_csv(outcomes: Iterable[Outcome], classes: Sequence[str]) -> Iterator[str]:
    """One row for each recording, without its timeline."""
    columns = ("path", "emotion", "confidence", *(f"p_{name}" for name in classes), "seconds", "speech_seconds")
    yield csv_row([*columns, "sample_rate", "channels", "container", "warnings", "reason", "detail"])
    for outcome in outcomes:
        of = record(outcome)
        probabilities = of["probabilities"] or {}
        cells = [of[name] if name in of else probabilities.get(name.removeprefix("p_")) for name in columns]
        rest = [of["sample_rate"], of["channels"], of["container"], " ".join(of["warnings"] or ()), of["reason"], of["detail"]]
        yield csv_row([*cells, *rest])


def csv_row(cells: Sequence[Any]) -> str:
    """
    >>> csv_row(["=1+1", 0.5, None]).rstrip()
    "'=1+1,0.5,"
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([neutralise(cell) for cell in cells])
    return buffer.getvalue()


def as_rttm(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """The segments as NIST's RTTM (Rich Transcription 2009, appendix A): SPEAKER lines, which programs for diarisation read, with the
    emotion in the place of a speaker's name. White space in a file's name becomes `_`.
    """
    for outcome in outcomes:
        name = "_".join(printable(outcome.name).split()) or "_"
        for of in outcome.prediction.segments if outcome.prediction else ():
            yield f"SPEAKER {name} 1 {of.start:.3f} {of.end - of.start:.3f} <NA> <NA> {of.emotion} {of.confidence:.3f} <NA>\n"


def as_srt(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """The segments as subtitles (SubRip), which a player shows over the recording."""
    for outcome in outcomes:
        for number, of in enumerate(outcome.prediction.segments if outcome.prediction else (), start=1):
            yield f"{number}\n{clock(of.start)} --> {clock(of.end)}\n{of.emotion} {100 * of.confidence:.0f} %\n\n"


def clock(seconds: float) -> str:
    """
    >>> clock(3661.5)
    '01:01:01,500'
    """
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{milliseconds:03}"


Writer = Callable[[Iterable[Outcome], Sequence[str]], Iterator[str]]

FORMATS: dict[str, Writer] = {"json": as_json, "jsonl": as_jsonl, "csv": as_csv, "rttm": as_rttm, "srt": as_srt}
