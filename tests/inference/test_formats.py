"""Each format against what it should be, to the letter."""

import csv
import io
import json
from collections.abc import Iterator
from dataclasses import replace

import pytest

from ser.errors import AudioError
from ser.inference.attention import Attention
from ser.inference.formats import FORMATS, Outcome, clock
from ser.inference.prediction import Passage, Prediction
from ser.reasons import SKIP_REASONS

CLASSES = ("sad", "angry")


def passage(start: float, end: float, emotion: str, sad: float) -> Passage:
    return Passage(start, end, emotion, max(sad, 1 - sad), {"sad": sad, "angry": 1 - sad})


def prediction(*segments: Passage) -> Prediction:
    whole = segments[0]
    return Prediction(
        emotion=whole.emotion,
        confidence=whole.confidence,
        probabilities=whole.probabilities,
        seconds=7.5,
        speech_seconds=6.25,
        sample_rate=44_100,
        channels=2,
        container="wav",
        voice="energy",
        warnings=("clipped", "stereo"),
        timeline=segments,
        segments=segments,
        attention={"spectral": Attention(rate=2.5, weights=(0.0, 1.25, 0.75001))},
    )


CALL = Outcome("calls/a.wav", prediction(passage(0.5, 3.0, "sad", 0.75), passage(3.0, 5.25, "unknown", 0.4375)))
BROKEN = Outcome("=b\n.wav", error=AudioError("truncated", "1.000 s missing\x1b"))
OUTCOMES = (CALL, BROKEN)

PROBABILITIES = '{"sad": 0.75, "angry": 0.25}'
SEGMENTS = (
    f'[{{"start": 0.5, "end": 3.0, "emotion": "sad", "confidence": 0.75, "probabilities": {PROBABILITIES}}}, '
    '{"start": 3.0, "end": 5.25, "emotion": "unknown", "confidence": 0.5625, "probabilities": {"sad": 0.4375, "angry": 0.5625}}]'
)
CALL_LINE = (
    f'{{"path": "calls/a.wav", "emotion": "sad", "confidence": 0.75, "probabilities": {PROBABILITIES}, "seconds": 7.5, '
    '"speech_seconds": 6.25, "sample_rate": 44100, "channels": 2, "container": "wav", "warnings": ["clipped", "stereo"], '
    f'"voice": "energy", "segments": {SEGMENTS}, "timeline": {SEGMENTS}, '
    '"attention": {"spectral": {"rate": 2.5, "weights": [0.0, 1.25, 0.75]}}, "reason": null, "detail": null}'
)
BROKEN_LINE = (
    '{"path": "=b\\\\n.wav", "emotion": null, "confidence": null, "probabilities": null, "seconds": null, "speech_seconds": null, '
    '"sample_rate": null, "channels": null, "container": null, "warnings": null, "voice": null, "segments": null, "timeline": null, '
    '"attention": null, "reason": "truncated", "detail": "1.000 s missing\\\\x1b"}'
)

GOLDEN = {
    "json": f"[\n{CALL_LINE},\n{BROKEN_LINE}\n]\n",
    "jsonl": f"{CALL_LINE}\n{BROKEN_LINE}\n",
    "csv": (
        "path,emotion,confidence,p_sad,p_angry,seconds,speech_seconds,sample_rate,channels,container,warnings,reason,detail\n"
        "calls/a.wav,sad,0.75,0.75,0.25,7.5,6.25,44100,2,wav,clipped stereo,,\n"
        "'=b\\n.wav,,,,,,,,,,,truncated,1.000 s missing\\x1b\n"
    ),
    "timeline-csv": (
        "path,start,end,emotion,confidence,p_sad,p_angry,reason\n"
        "calls/a.wav,0.5,3.0,sad,0.75,0.75,0.25,\n"
        "calls/a.wav,3.0,5.25,unknown,0.5625,0.4375,0.5625,\n"
        "'=b\\n.wav,,,,,,,truncated\n"
    ),
    "rttm": (
        "SPEAKER calls/a.wav 1 0.500 2.500 <NA> <NA> sad 0.750 <NA>\nSPEAKER calls/a.wav 1 3.000 2.250 <NA> <NA> unknown 0.562 <NA>\n"
    ),
    "srt": "1\n00:00:00,500 --> 00:00:03,000\nsad 75 %\n\n2\n00:00:03,000 --> 00:00:05,250\nunknown 56 %\n\n",
}


def text_of(form: str, *outcomes: Outcome) -> str:
    return "".join(FORMATS[form](iter(outcomes), CLASSES))


@pytest.mark.parametrize("form", FORMATS)
def test_each_format_is_its_golden_text(form: str) -> None:
    assert text_of(form, *OUTCOMES) == GOLDEN[form]


def test_a_recording_without_cells_is_a_row_of_the_timeline() -> None:
    assert CALL.prediction
    silent = Outcome("silent.wav", replace(CALL.prediction, emotion="unknown", timeline=(), segments=()))
    assert text_of("timeline-csv", silent).splitlines()[1:] == ["silent.wav,0.0,7.5,unknown,0.75,0.75,0.25,"]


@pytest.mark.parametrize(("form", "text"), [("json", "[]\n"), ("jsonl", ""), ("rttm", ""), ("srt", "")])
def test_nothing_is_valid_too(form: str, text: str) -> None:
    assert text_of(form) == text


@pytest.mark.parametrize("form", ["jsonl", "csv", "timeline-csv", "rttm"])
def test_a_line_is_written_before_the_next_recording_is_heard(form: str) -> None:
    heard = 0

    def outcomes() -> Iterator[Outcome]:
        nonlocal heard
        for _ in range(3):
            heard += 1
            yield CALL

    lines = FORMATS[form](outcomes(), CLASSES)
    while "a.wav" not in next(lines):
        pass
    assert heard == 1


@pytest.mark.parametrize("name", ['a,"b".wav', "\x1b[31m.wav", "a\r\nb", "bytes\udcff.wav", "é.wav", "@x", "\tx", "a b.wav", "\u2028"])
def test_no_name_breaks_a_format(name: str) -> None:
    outcome = Outcome(name, CALL.prediction)
    (row,) = csv.DictReader(io.StringIO(text_of("csv", outcome)))
    told = json.loads(text_of("jsonl", outcome))["path"]
    assert row["path"].lstrip("'") == told
    for form in FORMATS:
        text = text_of(form, outcome)
        text.encode()
        assert not set(text) & (set(map(chr, range(32))) - {"\n"})
    assert all(len(line.split()) == 10 for line in text_of("rttm", outcome).splitlines())


@pytest.mark.parametrize("reason", SKIP_REASONS)
def test_every_reason_has_a_row(reason: str) -> None:
    outcome = Outcome("x.wav", error=AudioError(reason, "why"))
    assert json.loads(text_of("jsonl", outcome))["reason"] == reason


@pytest.mark.parametrize(("seconds", "text"), [(0, "00:00:00,000"), (59.9996, "00:01:00,000"), (3600 * 100 + 1.25, "100:00:01,250")])
def test_times_of_subtitles(seconds: float, text: str) -> None:
    assert clock(seconds) == text
