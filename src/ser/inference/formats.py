"""Predictions as text: JSON, JSON lines, CSV, RTTM, SubRip. Each is written while the recordings are predicted, so a long list takes no
more memory than a short one.

In file names, control characters and bytes that are not UTF-8 are escaped. JSON is strict; CSV cells that a spreadsheet would run as a
formula are neutralised.
"""

import csv
import io
import json
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from ser.errors import AudioError
from ser.inference.prediction import DIGITS, Embedding, Passage, Prediction, rounded
from ser.system.tables import neutralise
from ser.wording import printable

PREDICTED = (
    "emotion", "confidence", "probabilities", "seconds", "speech_seconds", "sample_rate", "channels", "container", "warnings", "voice",
    "segments", "timeline", "attention",
)  # fmt: skip
"""Keys of a record that are None if there is no prediction."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """The result for one recording: a prediction, or the reason why there is none."""

    name: str
    prediction: Prediction | None = None
    error: AudioError | None = None
    embedding: Embedding | None = field(default=None, compare=False)


def record(outcome: Outcome) -> dict[str, object]:
    """The record of one recording for JSON. The keys are always the same; unknown values are None."""
    prediction, error = outcome.prediction, outcome.error
    predicted = dict.fromkeys(PREDICTED) if prediction is None else prediction.to_dict()
    return {
        "path": printable(outcome.name),
        **predicted,
        "reason": error and error.reason,
        "detail": error and printable(error.detail),
    }


def dump(outcome: Outcome) -> str:
    return json.dumps(record(outcome), allow_nan=False, ensure_ascii=False)


def as_json(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """One JSON array, with one recording on each line."""
    before = "[\n"
    for outcome in outcomes:
        yield before + dump(outcome)
        before = ",\n"
    yield "\n]\n" if before == ",\n" else "[]\n"


def as_jsonl(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """One JSON object on each line, written as soon as it is known."""
    return (dump(outcome) + "\n" for outcome in outcomes)


def as_csv(outcomes: Iterable[Outcome], classes: Sequence[str]) -> Iterator[str]:
    """One row for each recording, without its timeline."""
    columns = ["path", "emotion", "confidence", *(f"p_{name}" for name in classes), "seconds", "speech_seconds"]
    columns += ["sample_rate", "channels", "container", "warnings", "reason", "detail"]
    yield csv_row(columns)
    for outcome in outcomes:
        prediction = outcome.prediction
        values = record(outcome) | {"warnings": " ".join(prediction.warnings) if prediction else ""}
        if prediction:
            values |= {f"p_{name}": value for name, value in rounded(prediction.probabilities).items()}
        yield csv_row([values.get(column) for column in columns])


def as_timeline_csv(outcomes: Iterable[Outcome], classes: Sequence[str]) -> Iterator[str]:
    """One row for each cell of each timeline, for a spreadsheet or a plot. A recording without cells has one row: `unknown` from start to
    end if it has no speech, or the reason why it cannot be used.
    """
    yield csv_row(["path", "start", "end", "emotion", "confidence", *(f"p_{name}" for name in classes), "reason"])
    for outcome in outcomes:
        path, prediction = printable(outcome.name), outcome.prediction
        if prediction is None:
            yield csv_row([path, *[None] * (4 + len(classes)), outcome.error and outcome.error.reason])
            continue
        whole = Passage(0.0, prediction.seconds, prediction.emotion, prediction.confidence, prediction.probabilities)
        for cell in prediction.timeline or (whole,):
            shares = rounded(cell.probabilities)
            times = round(cell.start, DIGITS), round(cell.end, DIGITS)
            yield csv_row([path, *times, cell.emotion, round(cell.confidence, DIGITS), *(shares[name] for name in classes), None])


def csv_row(cells: Sequence[object]) -> str:
    """
    >>> csv_row(["=1+1", 0.5, None]).rstrip()
    "'=1+1,0.5,"
    """
    buffer = io.StringIO()
    csv.writer(buffer, lineterminator="\n").writerow([neutralise(cell) for cell in cells])
    return buffer.getvalue()


def as_rttm(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """The segments as NIST's RTTM (Rich Transcription 2009, appendix A): SPEAKER lines, which diarisation tools read, with the emotion
    in place of the speaker's name. White space in a file's name becomes `_`.
    """
    for outcome in outcomes:
        name = "_".join(printable(outcome.name).split()) or "_"
        for segment in outcome.prediction.segments if outcome.prediction else ():
            times = f"{segment.start:.3f} {segment.end - segment.start:.3f}"
            yield f"SPEAKER {name} 1 {times} <NA> <NA> {segment.emotion} {segment.confidence:.3f} <NA>\n"


def as_srt(outcomes: Iterable[Outcome], _classes: Sequence[str]) -> Iterator[str]:
    """The segments as subtitles (SubRip), which video players display over the recording."""
    for outcome in outcomes:
        for number, segment in enumerate(outcome.prediction.segments if outcome.prediction else (), start=1):
            yield f"{number}\n{clock(segment.start)} --> {clock(segment.end)}\n{segment.emotion} {100 * segment.confidence:.0f} %\n\n"


def clock(seconds: float) -> str:
    """
    >>> clock(3661.5)
    '01:01:01,500'
    """
    whole, milliseconds = divmod(round(1000 * seconds), 1000)
    return f"{whole // 3600:02}:{whole // 60 % 60:02}:{whole % 60:02},{milliseconds:03}"


Writer = Callable[[Iterable[Outcome], Sequence[str]], Iterator[str]]

FORMATS: dict[str, Writer] = {
    "json": as_json, "jsonl": as_jsonl, "csv": as_csv, "timeline-csv": as_timeline_csv, "rttm": as_rttm, "srt": as_srt,
}  # fmt: skip
