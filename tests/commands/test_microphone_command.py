"""`ser predict --mic`: what is heard when, what is said of it and shown, and every way in which it ends."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Self

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.console import Console

from conftest import Ser
from places import ROOT
from processes import PATIENCE, loaded_by, slowness
from ser.audio import microphone
from ser.audio.microphone import Microphone, Moment, limited, moments
from ser.audio.waveform import Waveform
from ser.commands.microphone import lines, record
from ser.commands.microphone_bars import LATE, LATE_HOPS, bars, frame, summary
from ser.config import AudioConfig
from ser.errors import DataError
from ser.evaluation.calibration import Calibration
from ser.export.onnx_file import export_run
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.live import LiveAnswer, predict_live
from ser.inference.predictor import UNKNOWN, Predictor
from ser.runs.run import Run
from ser.system.optional import install_hint
from workspace import Workspace

RATE = 16_000

pytestmark = pytest.mark.timing


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


class Played:
    """Blocks in the place of a microphone."""

    sample_rate = RATE

    def __init__(self, *blocks: Waveform | BaseException) -> None:
        self.given = blocks

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None: ...

    def blocks(self) -> Iterator[Waveform]:
        for block in self.given:
            if isinstance(block, BaseException):
                raise block
            yield block


def tone(seconds: float, level: float = 0.3) -> Waveform:
    return (level * np.sin(np.arange(round(seconds * RATE)) / 8)).astype(np.float32)


def pieces(samples: Waveform, length: int = RATE // 10) -> list[Waveform]:
    return [samples[start : start + length] for start in range(0, len(samples), length)]


class Loud:
    """A model that hears how loud the end of a clip is: `calm` below 0.1, `angry` above."""

    audio = AudioConfig(duration=2.0, trim_silence=False)
    calibration = Calibration(temperature=None, threshold=0.6, max_error=0.2, reason=None)
    classes = ("calm", "angry")

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        angry = [float(np.abs(samples[-RATE // 4 :]).max() > 0.1) for samples, _ in clips]
        return [ClipOutput(np.array([1 - share, share]), np.zeros(0, np.float32)) for share in angry]


def loud() -> Predictor:
    return Predictor(Loud(), voice="energy")


# -- what is heard when ---------------------------------------------------------------


@given(
    lengths=st.lists(st.integers(0, 300), max_size=30),
    window=st.integers(1, 500),
    hop=st.integers(1, 200),
)
@settings(max_examples=60, deadline=None)
def test_moments_are_the_newest_samples_every_hop_and_at_the_end(lengths: list[int], window: int, hop: int) -> None:
    samples = np.arange(sum(lengths), dtype=np.float32)
    found = list(moments(iter(np.split(samples, np.cumsum(lengths)[:-1]) if lengths else []), 1, window, hop))
    ends = [int(moment.seconds) for moment in found]
    assert ends == sorted(set(ends))
    assert (ends[-1] if ends else 0) == len(samples)
    for moment, before in zip(found, [0, *ends], strict=False):
        end = int(moment.seconds)
        np.testing.assert_array_equal(moment.samples, samples[max(0, end - window) : end])
        assert moment.newest == min(window, end - before)
        assert moment.missed == max(0, (end - before) // hop - 1)
    assert all(end - before >= hop for end, before in zip(ends[:-1], [0, *ends], strict=False))


@pytest.mark.parametrize(("seconds", "heard"), [(0.25, 0.25), (1.0, 1.0), (5.0, 1.5)])
def test_a_limit_is_kept_to_the_sample(seconds: float, heard: float) -> None:
    assert sum(map(len, limited(iter(pieces(tone(1.5))), round(seconds * RATE)))) == heard * RATE


# -- what is said of it ---------------------------------------------------------------


def test_a_recording_block_by_block_ends_with_what_its_last_window_says(exported: Path, prepared: Workspace) -> None:
    samples = np.concatenate([soundfile.read(path, dtype="float32")[0] for path in sorted(prepared.raw.rglob("*.wav"))[:8]])
    source = Played(*pieces(samples, 1_234))
    source.sample_rate = 8_000
    predictor = Predictor.load(exported, window=2)
    *_, last = predict_live(predictor, source, hop=0.5)
    assert last.prediction == predictor.predict(samples[-16_000:], 8_000)
    assert last.moment.seconds == len(samples) / 8_000


def test_an_answer_follows_within_a_second_and_does_not_flicker() -> None:
    sound = np.concatenate([tone(3, 0.05), tone(0.5, 0.5), tone(1.5, 0.05), tone(2, 0.5)])
    found = {live.moment.seconds: live for live in predict_live(loud(), Played(*pieces(sound)), hop=0.5)}
    assert [found[at].emotion for at in (2.0, 3.0)] == ["calm", "calm"]
    assert found[3.5].emotion == UNKNOWN  # one odd hop
    assert found[3.5].probabilities == {"calm": 0.5, "angry": 0.5}
    assert [found[at].emotion for at in (4.0, 5.0, 6.0, 7.0)] == ["calm", "calm", "angry", "angry"]


def test_silence_has_no_answer_and_is_forgotten() -> None:
    sound = np.concatenate([tone(2, 0.05), np.zeros(3 * RATE, np.float32), tone(0.5, 0.5)])
    found = {live.moment.seconds: live for live in predict_live(loud(), Played(*pieces(sound)), hop=0.5)}
    assert (found[4.5].emotion, found[4.5].reason, found[4.5].prediction, found[4.5].level) == (None, "silent", None, -np.inf)
    assert found[5.5].emotion == "angry"
    assert found[5.5].probabilities == {"calm": 0.0, "angry": 1.0}


def test_clipping_is_told_while_it_lasts() -> None:
    sound = np.concatenate([np.clip(tone(1, 3.0), -1, 1), tone(3)])
    found = {live.moment.seconds: live for live in predict_live(loud(), Played(*pieces(sound)), hop=0.5)}
    assert found[1.0].warnings == ("clipped",)
    assert found[4.0].warnings == ()


def test_a_first_word_that_is_too_short_has_a_reason() -> None:
    (found,) = predict_live(loud(), Played(tone(0.05)), hop=0.5)
    assert (found.reason, found.emotion) == ("too-short", None)


# -- what is shown --------------------------------------------------------------------


def answer_of(sound: Waveform) -> LiveAnswer:
    *_, last = predict_live(loud(), Played(*pieces(sound)), hop=0.5)
    return last


def shown(answer: LiveAnswer | None, width: int, missed: int = 0, encoding: str = "utf-8") -> list[str]:
    file = io.TextIOWrapper(io.BytesIO(), encoding=encoding)
    console = Console(file=file, width=width, force_terminal=True, color_system=None)
    console.print(frame(answer, loud(), missed))
    file.flush()
    file.seek(0)
    return file.read().splitlines()


@pytest.mark.parametrize("width", [40, 80])
@pytest.mark.parametrize("encoding", ["utf-8", "ascii"])
def test_the_bars_fit_every_terminal(width: int, encoding: str) -> None:
    text = shown(answer_of(tone(3)), width, encoding=encoding)
    assert all(len(line) <= width for line in text)
    calm, angry, level, status, last = text
    assert calm.split() == ["calm", "0", "%"]
    assert angry.startswith("angry ")
    assert angry.endswith("100 %")
    assert angry.split()[1] == (width - 13) * ("█" if encoding == "utf-8" else "#")
    assert level.split()[-2:] == ["-13", "dB"]
    assert (status, last) == ("0:00:03  angry", "of the last 2.0 s; Ctrl-C ends")


@pytest.mark.parametrize(
    ("sound", "words"),
    [
        (np.zeros(3 * RATE, np.float32), "no answer: silence"),
        (tone(0.05), "no answer: too little sound"),
        (np.clip(tone(1, 3.0), -1, 1), "angry (clipped: too loud)"),
    ],
)
def test_what_there_is_to_know_is_said_below_the_bars(sound: Waveform, words: str) -> None:
    assert words in shown(answer_of(sound), 80)[-2]


def test_before_the_first_answer_there_are_bars_already() -> None:
    *rest, clock, end = shown(None, 60)
    assert [line.split() for line in rest] == [["calm", "-"], ["angry", "-"], ["level", "-"]]
    assert (clock, end) == ("0:00:00  listening", "Ctrl-C ends")


def test_a_model_that_is_too_slow_is_told_of_once(capsys: pytest.CaptureFixture[str]) -> None:
    given = answer_of(tone(1))
    late = LiveAnswer(
        Moment(1, given.moment.samples, 10, LATE_HOPS - 1), given.level, given.prediction, None, given.emotion, given.probabilities
    )
    with lines() as show:
        for _ in range(4):
            show(late)
    assert capsys.readouterr().err == f"ser: {LATE}\n"
    assert f"({LATE})" in shown(given, 400, missed=LATE_HOPS)
    assert LATE not in " ".join(shown(given, 400, missed=LATE_HOPS - 1))


def test_a_terminal_is_drawn_upon_again_and_again(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.commands.microphone_bars.out", partial(Console, force_terminal=True, width=60))
    with bars(loud()) as show:
        for answer in predict_live(loud(), Played(*pieces(tone(2))), hop=0.5):
            show(answer)
    text = capsys.readouterr().out
    assert "\x1b[1A" in text  # up again
    assert text.count("Ctrl-C ends") >= 5
    assert "\x1b[?25h" in text  # the cursor is back


def test_a_summary_has_all_that_was_answered() -> None:
    assert summary(microphone_counts("sad", "sad", None, UNKNOWN)) == "of 4 answers: sad 50 %, no answer 25 %, unknown 25 %"
    assert summary(microphone_counts()) == "no answers"


def microphone_counts(*emotions: str | None) -> Any:
    from collections import Counter

    return Counter(emotions)


# -- the command ----------------------------------------------------------------------


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    """These blocks come from the microphone."""

    def begin(*blocks: Waveform | BaseException) -> None:
        monkeypatch.setattr(microphone, "Microphone", lambda: Played(*blocks))

    return begin


def objects(text: str) -> list[dict[str, Any]]:
    return [json.loads(line, parse_constant=pytest.fail) for line in text.splitlines()]


@pytest.mark.parametrize("form", [(), ("--format", "jsonl")])
def test_where_there_is_no_terminal_every_hop_is_a_line(exported: Path, play: Callable[..., None], ser: Ser, form: tuple[str, ...]) -> None:
    play(*pieces(np.concatenate([np.zeros(RATE, np.float32), tone(2)])))
    answer = ser("predict", "--mic", "-m", exported, "--hop", 1, *form)
    assert (answer.code, answer.err) == (0, "")
    first, *rest = objects(answer.out)
    assert (first["seconds"], first["emotion"], first["probabilities"], first["level"], first["reason"]) == (1, None, None, None, "silent")
    assert [entry["seconds"] for entry in rest] == [2, 3]
    assert all(entry["confidence"] == max(entry["probabilities"].values()) for entry in rest)
    assert all(entry.keys() == first.keys() for entry in rest)


def test_ctrl_c_is_the_way_to_end_it(exported: Path, play: Callable[..., None], ser: Ser) -> None:
    play(tone(1), KeyboardInterrupt())
    answer = ser("predict", "--mic", "-m", exported)
    assert (answer.code, answer.err) == (0, "")
    assert len(objects(answer.out)) == 1


def test_it_ends_by_itself_after_so_many_seconds(exported: Path, play: Callable[..., None], ser: Ser) -> None:
    play(*pieces(tone(10)))
    answer = ser("predict", "--mic", "-m", exported, "--seconds", 1.25)
    assert [entry["seconds"] for entry in objects(answer.out)] == [0.5, 1.0, 1.25]


def test_a_microphone_that_goes_away_is_one_line(exported: Path, play: Callable[..., None], ser: Ser) -> None:
    play(tone(1), DataError("the microphone sends no more sound"))
    answer = ser("predict", "--mic", "-m", exported)
    assert (answer.code, answer.err) == (3, "ser: the microphone sends no more sound\n")


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--mic", "x.wav"], "give no recordings with it"),
        (["--mic", "--format", "csv"], "with --mic choose table or jsonl"),
        (["--mic", "--seconds", "0"], "--seconds 0: give more than 0"),
        (["--mic", "--seconds", "nan"], "--seconds nan"),
        (["--mic", "--seconds", "1e305"], "at most a day"),
        (["--mic", "--hop", "1e305"], "a hop of 1e+305 s"),
        (["--mic", "--hop", "0"], "a hop of 0 s"),
        (["x.wav", "--seconds", "3"], "--seconds is for --mic"),
    ],
)
def test_what_cannot_be_followed_is_one_line(exported: Path, play: Callable[..., None], ser: Ser, arguments: list[str], words: str) -> None:
    play(tone(1))
    answer = ser("predict", "-m", exported, *arguments)
    assert (answer.code, answer.out) == (2, "")
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1


def test_without_miniaudio_the_extra_is_named(exported: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "miniaudio", None)
    answer = ser("predict", "--mic", "-m", exported)
    assert (answer.code, answer.err) == (2, f"ser: --mic needs miniaudio: {install_hint('mic')}\n")


# -- the device -----------------------------------------------------------------------


@pytest.fixture
def null(monkeypatch: pytest.MonkeyPatch) -> None:
    """miniaudio's stand-in for a device, which gives silence in real time."""
    miniaudio = pytest.importorskip("miniaudio")
    monkeypatch.setattr(microphone, "backends", lambda: [miniaudio.Backend.NULL])


@pytest.mark.usefixtures("null")
def test_a_device_gives_samples_in_real_time() -> None:
    with Microphone() as source:
        blocks = source.blocks()
        heard = [next(blocks) for _ in range(3)]
        time.sleep(0.3 * slowness())
        late = next(blocks)
    assert all(block.dtype == np.float32 and len(block) for block in heard)
    assert len(late) >= 0.2 * source.sample_rate, "what came meanwhile is one block"


@pytest.mark.usefixtures("null")
def test_a_device_that_stops_is_told() -> None:
    with Microphone() as source:
        blocks = source.blocks()
        next(blocks)
        source.device.stop()
        with pytest.raises(DataError, match="no more sound"):
            list(blocks)


@pytest.mark.usefixtures("null")
def test_a_device_that_says_nothing_at_all_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(microphone, "LOST_SECONDS", 0.1)
    with Microphone() as source:
        monkeypatch.setattr(source.device, "start", lambda _: None)
        with pytest.raises(DataError, match="no more sound"):
            next(source.blocks())


def test_the_stand_in_is_no_microphone() -> None:
    miniaudio = pytest.importorskip("miniaudio")
    assert miniaudio.Backend.NULL not in microphone.backends()
    assert microphone.backends()


def test_no_microphone_is_one_line(exported: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    miniaudio = pytest.importorskip("miniaudio")

    def refuse(**_: object) -> None:
        os.write(2, b"ALSA lib: pages of this\n")
        raise miniaudio.MiniaudioError("failed to init device", -401)

    monkeypatch.setattr(miniaudio, "CaptureDevice", refuse)
    with pytest.raises(DataError, match=r"no microphone can be opened \(failed to init device, -401\)"):
        Microphone()
    assert capfd.readouterr().err == ""


AS_PROGRAM = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
import miniaudio
from ser.audio import microphone
from ser.cli import main
microphone.backends = lambda: [miniaudio.Backend.NULL]
sys.argv = ["ser", "predict", "--mic", *sys.argv[1:]]
try:
    main()
except SystemExit as end:
"""


def program(*arguments: str | Path) -> "subprocess.Popen[str]":
    pytest.importorskip("miniaudio")
    command = [sys.executable, "-c", AS_PROGRAM + "    raise", *map(str, arguments)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


@pytest.mark.parametrize(
    ("number", "code", "words"), [(signal.SIGINT, 0, ""), (signal.SIGTERM, 143, "ser: stopped by SIGTERM; what was finished is kept\n")]
)
def test_signals_end_the_real_program(exported: Path, number: signal.Signals, code: int, words: str) -> None:
    process = program("-m", exported, "--hop", "0.1")
    assert process.stdout is not None
    assert json.loads(process.stdout.readline())["reason"] == "silent"
    process.send_signal(number)
    _, err = process.communicate(timeout=PATIENCE)
    assert (process.returncode, err) == (code, words)


def test_a_reader_that_leaves_ends_it(exported: Path) -> None:
    process = program("-m", exported, "--hop", "0.1")
    assert process.stdout is not None
    assert process.stderr is not None
    process.stdout.readline()
    process.stdout.close()
    assert process.wait(timeout=PATIENCE) == 0
    assert process.stderr.read() == ""
    process.stderr.close()


def test_it_needs_no_torch(exported: Path) -> None:
    pytest.importorskip("miniaudio")
    code = AS_PROGRAM.replace("*sys.argv[1:]", f'"-m", {str(exported)!r}, "--seconds", "0.3"') + "    assert not end.code"
    assert loaded_by(code) == {"onnxruntime"}


def test_the_page_names_every_key() -> None:
    page = (ROOT / "docs" / "predict.md").read_text(encoding="utf-8").split("## The microphone")[1]
    assert all(f"`{key}`" in page for key in record(answer_of(tone(1))))


def test_records_of_an_answer_are_strict(capsys: pytest.CaptureFixture[str]) -> None:
    with lines() as show:
        show(answer_of(np.zeros(RATE, np.float32)))
    (found,) = objects(capsys.readouterr().out)
    assert found == record(answer_of(np.zeros(RATE, np.float32)))
    assert found["missed"] == 0
