"""What a model says of a recording: of a short one what it says of a clip, of a long one what its windows say of each stretch of time."""

import io
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import ser
from places import ROOT
from ser.audio.waveform import prepare
from ser.config import AudioConfig
from ser.corpora.manifest import read_manifest
from ser.errors import ArtefactError, AudioError, ConfigError, DataError
from ser.evaluation.calibration import Calibration, read_calibration, write_with_digest
from ser.export.onnx_file import export_run
from ser.features.base import ClipError
from ser.inference import predictor as predict_module
from ser.inference.clip_output import Clip, ClipOutput
from ser.inference.exported import Exported
from ser.inference.formats import FORMATS, Outcome, record
from ser.inference.load_model import load_model
from ser.inference.prediction import Prediction
from ser.inference.predictor import UNKNOWN, Predictor
from ser.inference.recogniser import Recogniser
from ser.runs.run import Run
from workspace import Workspace, rows_of

RATE = 16_000
TWO_SECONDS = AudioConfig(duration=2.0)
SURE = Calibration(temperature=None, threshold=None, max_error=0.2, reason=None)
Samples = np.ndarray[Any, np.dtype[np.float32]]


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


@cache
def load(path: Path) -> Predictor:
    return Predictor.load(path)


def own_words(run: Run, samples: Samples, rate: int) -> np.ndarray[Any, np.dtype[np.float64]]:
    """What the model of a run says of a clip, calibrated."""
    return read_calibration(run.calibration).apply(Recogniser.load(run.best).infer(samples, rate).probabilities)


def values(prediction: Prediction) -> list[float]:
    return list(prediction.probabilities.values())


def tone(seconds: float, pitch: float, rate: int = RATE, level: float = 0.3) -> Samples:
    return (level * np.sin(2 * np.pi * pitch * np.arange(round(seconds * rate)) / rate)).astype(np.float32)


def hush(seconds: float, rate: int = RATE) -> Samples:
    return np.random.default_rng(0).normal(0, 1e-4, round(seconds * rate)).astype(np.float32)


@dataclass
class Pitch:
    """A model that hears a sine's pitch: 200 Hz is low, 400 Hz is high, and between them it is unsure."""

    audio: AudioConfig = TWO_SECONDS
    calibration: Calibration = SURE
    classes: tuple[str, ...] = ("low", "high")

    def __post_init__(self) -> None:
        self.heard: list[Clip] = []

    def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
        self.heard += clips
        return [ClipOutput(self.hear(prepare(samples, rate, self.audio).prepared), np.zeros(0, np.float32)) for samples, rate in clips]

    def hear(self, waveform: Samples) -> np.ndarray[Any, np.dtype[np.float64]]:
        crossings = np.count_nonzero(np.diff(np.signbit(waveform[np.abs(waveform) > 0.01])))
        high = float(np.clip(crossings / 2 / max(np.count_nonzero(np.abs(waveform) > 0.01) / RATE, 1e-3) / 200 - 1, 0, 1))
        return np.array([1 - high, high])


def unsure_below(threshold: float) -> Calibration:
    return SURE.model_copy(update={"threshold": threshold})


# -- a clip ---------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["run", "file"])
def test_files_are_predicted_as_in_training(finished: Run, exported: Path, prepared: Workspace, kind: str) -> None:
    predictor = load(finished.folder if kind == "run" else exported)
    manifest, calibration = read_manifest(prepared.processed / "manifest.csv"), read_calibration(finished.calibration)
    for row in rows_of(finished.predictions)[::4]:
        found = predictor.predict(prepared.raw / manifest[row["id"]].path)
        own = np.array([float(row[f"p_{name}"]) for name in predictor.classes])
        np.testing.assert_allclose(values(found), calibration.apply(own), rtol=0, atol=1e-5)
        answer = calibration.answer(own)
        assert found.emotion == (UNKNOWN if answer is None else row["prediction"])
        assert found.confidence == max(values(found))
        assert len(found.timeline) == len(found.segments) == 1
        assert found.timeline[0].probabilities == found.probabilities
        assert (found.container, found.channels) == ("wav", 1)


@given(
    seconds=st.floats(0.1, 5.0),
    rate=st.sampled_from([4_000, 8_000, 11_025, 22_050, 44_100, 96_000]),
    channels=st.integers(1, 3),
    seed=st.integers(0, 99),
)
@settings(max_examples=10, deadline=None)
def test_a_recording_no_longer_than_the_window_is_heard_whole(finished: Run, seconds: float, rate: int, channels: int, seed: int) -> None:
    samples = np.random.default_rng(seed).normal(0, 0.1, (int(seconds * rate), channels)).astype(np.float32)
    if len(samples) < 0.1 * rate:
        return
    found = load(finished.folder).predict(samples, rate)
    np.testing.assert_array_equal(values(found), own_words(finished, samples, rate))
    assert ("stereo" in found.warnings, "8khz" in found.warnings) == (channels > 1, rate <= 8_000)


@given(before=st.floats(0, 20), after=st.floats(0, 20), seconds=st.floats(0.6, 4.9), rate=st.sampled_from([8_000, 16_000, 44_100]))
@settings(max_examples=10, deadline=None)
def test_silence_around_a_clip_changes_nothing_however_long_it_is(
    finished: Run, before: float, after: float, seconds: float, rate: int
) -> None:
    """As long as a hundredth of the recording is speech: see `ser.audio.vad_energy`."""
    speech = np.random.default_rng(1).normal(0, 0.1, round(seconds * rate)).astype(np.float32)
    samples = np.concatenate([hush(before, rate), speech, hush(after, rate)])
    found = load(finished.folder).predict(samples, rate)
    np.testing.assert_array_equal(values(found), own_words(finished, samples, rate))
    assert len(found.timeline) == 1
    if len(samples) > 5 * rate:
        assert found.timeline[0].start == pytest.approx(before, abs=0.05)
        assert found.timeline[0].end == pytest.approx(before + seconds, abs=0.05)


def test_path_stream_and_samples_are_the_same(finished: Run, tmp_path: Path) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, (8_000, 2)).clip(-1, 1)
    soundfile.write(tmp_path / "clip.flac", samples, RATE, subtype="PCM_16")
    predictor = load(finished.folder)
    by_path = predictor.predict(str(tmp_path / "clip.flac"))
    by_stream = predictor.predict(io.BytesIO((tmp_path / "clip.flac").read_bytes()))
    by_samples = predictor.predict(soundfile.read(tmp_path / "clip.flac", dtype="int16")[0], RATE)
    assert by_path == by_stream
    assert values(by_path) == values(by_samples)
    assert (by_path.container, by_samples.container) == ("flac", None)


def test_samples_need_a_rate(finished: Run) -> None:
    with pytest.raises(ValueError, match="sample_rate"):
        load(finished.folder).predict(np.zeros(RATE))


class Upload:
    """As of a web framework: its `read` is a coroutine."""

    async def read(self, size: int = -1) -> bytes:
        return b"RIFF"


class TextReader:
    def read(self, size: int = -1) -> str:
        return "RIFF"


class Nonblocking:
    def read(self, size: int = -1) -> None:
        return None


@pytest.mark.parametrize(
    ("audio", "rate", "words"),
    [
        ([0.1, 0.2], RATE, "list is not a recording: give several paths to predict_many"),
        ((RATE, tone(1, 200)), None, "two arguments"),
        ({"array": tone(1, 200), "sampling_rate": RATE}, None, "two arguments"),
        (torch.zeros(RATE), RATE, "Tensor is not a recording: .*numpy"),
        (b"RIFF", None, r"bytes is not a recording: .*BytesIO"),
        (None, None, "NoneType is not a recording"),
        (io.StringIO("RIFF"), None, 'StringIO is not a recording: .*"rb"'),
        (Upload(), None, "Upload is not a recording: .*asynchronous"),
        (TextReader(), None, "TextReader returned str"),
        (Nonblocking(), None, "Nonblocking returned NoneType"),
        (io.BytesIO(b"RIFF"), RATE, "read from the file"),
        ("a.wav", RATE, "read from the file"),
        (Path("a.wav"), RATE, "read from the file"),
        (np.ma.masked_array(tone(1, 200), tone(1, 200) > 0.2), RATE, "filled"),
        (tone(1, 200), None, "sample_rate"),
        (tone(1, 200), "16000", "'16000' is not a whole number of hertz"),
        (tone(1, 200), float("nan"), "nan is not a whole number"),
        (tone(1, 200), float("inf"), "inf is not a whole number"),
        (tone(1, 200), 44100.5, "44100.5 is not a whole number"),
        (tone(1, 200), True, "True is not a whole number"),
    ],
)
def test_an_argument_that_is_not_accepted_gets_advice(audio: Any, rate: Any, words: str) -> None:
    for method in (Predictor(Pitch()).predict, Predictor(Pitch()).embed):
        with pytest.raises(ValueError, match=words):
            method(audio, rate)


@pytest.mark.parametrize("rate", [RATE, float(RATE), np.int64(RATE), np.float32(RATE)])
def test_a_rate_is_any_whole_number(rate: Any) -> None:
    assert Predictor(Pitch()).predict(tone(1, 200), rate).emotion == "low"


@dataclass
class OwnPath:
    """A path of some other library."""

    path: str

    def __fspath__(self) -> str:
        return self.path


def test_every_spelling_of_a_path_is_taken(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    soundfile.write(tmp_path / "clip.wav", tone(1, 200), RATE)
    monkeypatch.setenv("HOME", str(tmp_path))
    spellings: list[Any] = [str(tmp_path / "clip.wav"), tmp_path / "clip.wav", OwnPath(str(tmp_path / "clip.wav")), "~/clip.wav"]
    assert {Predictor(Pitch()).predict(path).emotion for path in spellings} == {"low"}


def test_a_text_file_is_no_stream_of_bytes(tmp_path: Path) -> None:
    (tmp_path / "a.wav").write_bytes(b"RIFF\xff")
    with (tmp_path / "a.wav").open(encoding="utf-8") as stream, pytest.raises(ValueError, match="opened as text"):
        Predictor(Pitch()).predict(stream)  # type: ignore[arg-type]


def test_broken_samples_have_their_reason(finished: Run) -> None:
    with pytest.raises(AudioError, match="silent"):
        load(finished.folder).predict(np.zeros(RATE), RATE)


# -- a long recording -----------------------------------------------------------------


def test_each_window_is_what_the_model_says_of_that_span(finished: Run, exported: Path, tmp_path: Path) -> None:
    samples = np.random.default_rng(3).normal(0, 0.1, 20 * 22_050).astype(np.float32)
    soundfile.write(tmp_path / "long.wav", samples, 22_050, subtype="FLOAT")
    for predictor in (Predictor.load(finished.folder, window=4, hop=4), Predictor.load(exported, window=4, hop=4)):
        found = predictor.predict(tmp_path / "long.wav")
        assert [(cell.start, cell.end) for cell in found.timeline] == [(4 * k, 4 * k + 4) for k in range(5)]
        for k, cell in enumerate(found.timeline):
            own = own_words(finished, samples[k * 88_200 : (k + 1) * 88_200], 22_050)
            np.testing.assert_allclose(list(cell.probabilities.values()), own, rtol=0, atol=1e-5)


def test_a_timeline_tells_when_what_was_heard_and_leaves_silence_out() -> None:
    model = Pitch()
    found = Predictor(model).predict(np.concatenate([tone(10, 200), hush(20), tone(10, 400)]), RATE)
    assert [part.emotion for part in found.segments] == ["low", "high"]
    low, high = found.segments
    assert (low.start, high.end) == (0, 40)
    assert low.end == pytest.approx(10, abs=1.1)
    assert high.start == pytest.approx(30, abs=1.1)
    assert found.speech_seconds == pytest.approx(20, abs=0.2)
    assert found.seconds == 40
    assert len(model.heard) == 20  # of 39 windows
    assert found.probabilities["low"] == pytest.approx(0.5, abs=0.05)


def test_neighbours_with_the_same_answer_are_one_segment_with_their_mean() -> None:
    found = Predictor(Pitch()).predict(np.concatenate([tone(5, 220), tone(5, 260)]), RATE)
    assert [(part.start, part.end, part.emotion) for part in found.segments] == [(0, 10, "low")]
    assert found.segments[0].probabilities["low"] == pytest.approx(np.mean([part.probabilities["low"] for part in found.timeline]))
    assert len(found.timeline) == 10


def test_unsure_stretches_are_unknown_and_so_is_an_unsure_whole() -> None:
    samples = np.concatenate([tone(10, 200), tone(10, 300)])
    found = Predictor(Pitch(calibration=unsure_below(0.7))).predict(samples, RATE)
    assert [part.emotion for part in found.segments] == ["low", UNKNOWN]
    assert found.segments[1].confidence < 0.7
    assert Predictor(Pitch(calibration=unsure_below(0.8))).predict(samples, RATE).emotion == UNKNOWN
    assert Predictor(Pitch()).predict(samples, RATE).emotion == "low"


def test_the_threshold_itself_is_sure_enough() -> None:
    clip = tone(1, 300)
    confidence = Predictor(Pitch()).predict(clip, RATE).confidence
    assert 0.5 <= confidence < 0.7
    answers = [Predictor(Pitch(calibration=unsure_below(level))).predict(clip, RATE).emotion for level in (confidence, confidence + 1e-9)]
    assert answers[0] != UNKNOWN
    assert answers[1] == UNKNOWN


def test_one_odd_window_does_not_turn_the_answer() -> None:
    samples = np.concatenate([tone(9, 200), tone(0.9, 400), tone(9.1, 200)])
    assert [part.emotion for part in Predictor(Pitch(), window=2, hop=0.5).predict(samples, RATE).segments] == ["low"]


def test_a_click_in_silence_is_heard_all_the_same() -> None:
    model = Pitch()
    clicks = [hush(3), tone(0.05, 400), hush(6), tone(0.03, 400), hush(3)]
    found = Predictor(model).predict(np.concatenate(clicks), RATE)
    assert (len(model.heard), len(found.timeline), found.emotion) == (1, 1, "high")


@given(
    parts=st.lists(st.tuples(st.floats(0.05, 4), st.booleans()), min_size=1, max_size=12),
    window=st.floats(0.5, 2),
    share=st.floats(0.25, 1),
    rate=st.sampled_from([8_000, 16_000, 22_050]),
)
@settings(max_examples=40, deadline=None)
def test_timelines_are_in_order_and_hold_all_speech(parts: list[tuple[float, bool]], window: float, share: float, rate: int) -> None:
    samples = np.concatenate([tone(1, 200, rate), *(tone(t, 300, rate) if loud else hush(t, rate) for t, loud in parts)])
    predictor = Predictor(Pitch(), window=window, hop=max(0.1, window * share))
    found = predictor.predict(samples, rate)
    edges = [(part.start, part.end) for part in found.timeline]
    assert edges == sorted(edges)
    assert all(0 <= start < end <= found.seconds for start, end in edges)
    assert all(end <= start for (_, end), (start, _) in pairwise(edges))
    assert sum(end - start for start, end in edges) >= found.speech_seconds - 0.4 * len(parts)  # a word that two cells share
    sums = [sum(part.probabilities.values()) for part in (*found.timeline, *found.segments)]
    assert [*sums, sum(values(found))] == pytest.approx([1] * (len(sums) + 1))
    covered = [(part.start, part.end) for part in found.segments]
    assert sum(end - start for start, end in covered) == pytest.approx(sum(end - start for start, end in edges))


def test_a_model_without_trim_hears_a_recording_from_its_first_sample() -> None:
    model = Pitch(audio=AudioConfig(duration=2.0, trim_silence=False))
    samples = np.concatenate([hush(1), tone(1, 200), hush(1)])
    found = Predictor(model).predict(samples, RATE)
    assert [len(clip) for clip, _ in model.heard] == [2 * RATE, 2 * RATE]
    assert [(part.start, part.end) for part in found.timeline] == [(1, 2)]


def test_progress_is_told_in_seconds_of_what_is_heard() -> None:
    told: list[float] = []

    class Track:
        def __init__(self, description: str, total: float) -> None:
            told.append(total)

        def __enter__(self) -> Callable[[float], None]:
            return lambda seconds: told.append(-seconds)

        def __exit__(self, *_: object) -> None: ...

    Predictor(Pitch()).predict(tone(60, 200), RATE, track=Track)
    assert told[0] == 59 * 2
    assert sum(told) == pytest.approx(0)
    assert len(told) > 2


def test_a_run_and_its_exported_model_listen_to_the_same(finished: Run, exported: Path, prepared: Workspace) -> None:
    clips = [soundfile.read(path, dtype="float32")[0] for path in sorted(prepared.raw.rglob("*.wav"))[:6]]
    rate = soundfile.info(min(prepared.raw.rglob("*.wav"))).samplerate
    for samples in (clips[0], np.concatenate(clips)):
        curves = [Predictor.load(path, window=2).predict(samples, rate).attention["spectral"] for path in (finished.folder, exported)]
        assert curves[0].rate == curves[1].rate == 62.5 / 4
        np.testing.assert_allclose(curves[0].weights, curves[1].weights, rtol=0, atol=1e-3)
        assert 0 <= len(curves[0].weights) - len(samples) / rate * curves[0].rate < 1


# -- settings and models --------------------------------------------------------------


@pytest.mark.parametrize(
    ("duration", "given", "used"),
    [(5.0, (None, None), (5.0, 2.5)), (None, (None, None), (8.0, 4.0)), (5.0, (2.0, None), (2.0, 1.0)), (0.2, (None, None), (0.2, 0.1))],
)
def test_a_window_is_what_the_model_was_trained_on(duration: float | None, given: tuple[Any, Any], used: tuple[float, float]) -> None:
    predictor = Predictor(Pitch(audio=AudioConfig(duration=duration)), *given)
    assert (predictor.window, predictor.hop) == used


@pytest.mark.parametrize(
    ("window", "hop", "words"),
    [
        (2.5, None, "would ignore the rest"),
        (0.3, None, "at least 0.5 s"),
        (-1, None, "at least"),
        (float("nan"), None, "at least"),
        (2, 3, "a hop of 3 s"),
        (2, 0.01, "0.1 s to 2 s"),
        (2, float("nan"), "a hop of"),
    ],
)
def test_a_window_that_cannot_be_is_refused(window: float, hop: float | None, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        Predictor(Pitch(), window, hop)


@pytest.mark.parametrize(("window", "hop"), [(1e305, None), (86_401, 1), (8, 1e305)])
def test_a_window_is_a_day_at_most(window: float, hop: float | None) -> None:
    whole = Pitch(audio=AudioConfig(duration=None))
    assert Predictor(whole, 86_400).predict(tone(1, 200), RATE).emotion == "low"
    with pytest.raises(ConfigError, match=r"at most a day|to 8 s, the length of the window"):
        Predictor(whole, window, hop)


def test_a_head_alone_is_refused_before_anything_is_heard(exported: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Exported, "missing", "the file does not contain its backbone")
    with pytest.raises(ConfigError, match=r"model\.onnx: the file does not contain its backbone"):
        load_model(exported, None)


def test_what_is_no_model_is_told(tmp_path: Path, exported: Path) -> None:
    (tmp_path / "x.wav").touch()
    (tmp_path / "x.onnx").write_bytes(b"hello")
    with pytest.raises(DataError, match=r"is not the folder of a trained run: it has no best\.pth"):
        Predictor.load(tmp_path)
    for name in ("x.wav", "absent"):
        with pytest.raises(DataError, match="is not a model: give the folder of a run"):
            Predictor.load(tmp_path / name)
    with pytest.raises(DataError, match="does not exist"):
        Predictor.load(tmp_path / "absent.onnx")
    with pytest.raises(ArtefactError):
        Predictor.load(tmp_path / "x.onnx")
    with pytest.raises(ConfigError, match="backbone"):
        Predictor.load(exported, backbone="x")


def test_a_run_that_was_not_calibrated_answers_always(finished: Run, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    shutil.copy(finished.best, tmp_path)
    model = load_model(tmp_path, None)
    assert (model.calibration.temperature, model.calibration.threshold) == (None, None)
    assert "no answer is unknown" in caplog.text


def test_a_damaged_calibration_is_an_error(finished: Run, tmp_path: Path) -> None:
    shutil.copy(finished.best, tmp_path)
    Run(tmp_path).calibration.write_text("{}")
    with pytest.raises(ArtefactError, match=r"calibration\.json is corrupted"):
        Predictor.load(tmp_path)


def test_the_calibration_of_another_run_is_refused(finished: Run, tmp_path: Path) -> None:
    shutil.copy(finished.best, tmp_path)
    content = json.loads(finished.calibration.read_text())
    write_with_digest(Run(tmp_path).calibration, {**{key: value for key, value in content.items() if key != "digest"}, "weights": "0" * 64})
    with pytest.raises(ArtefactError, match="belongs to other weights"):
        Predictor.load(tmp_path)


def test_numbers_that_a_backbone_cannot_give_have_a_reason(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise ClipError("overflow")

    monkeypatch.setattr(Recogniser, "infer_clips", fail)
    with pytest.raises(AudioError, match="not-finite: overflow"):
        load(finished.folder).predict(tone(1, 200), RATE)


def test_batches_of_windows_are_small_where_the_rate_is_high(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes: list[int] = []

    class Counting(Pitch):
        def infer_clips(self, clips: Sequence[Clip]) -> list[ClipOutput]:
            sizes.append(len(clips))
            return super().infer_clips(clips)

    monkeypatch.setattr(predict_module, "BATCH_VALUES", 4 * RATE)
    Predictor(Counting()).predict(tone(6, 200), RATE)
    assert sizes == [2, 2, 1]


# -- from Python ----------------------------------------------------------------------


@pytest.fixture
def here(prepared: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory with a recording."""
    shutil.copy(next(prepared.raw.rglob("*.wav")), tmp_path / "call.wav")
    monkeypatch.chdir(tmp_path)
    return tmp_path


PAGE = ROOT / "docs" / "predict.md"


@pytest.mark.parametrize("kind", ["run", "file"])
def test_the_example_in_the_documentation_runs(
    finished: Run, exported: Path, here: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    (here / "runs").mkdir()
    (here / "runs/NAME").symlink_to(finished.folder)
    (here / "model.onnx").symlink_to(exported)
    space: dict[str, Any] = {"samples": tone(1, 200)}
    exec(example if kind == "run" else example.replace('"runs/NAME"', '"model.onnx"'), space)
    assert space["prediction"].emotion in {*space["predictor"].classes, UNKNOWN}
    assert "spectral attends most at" in capsys.readouterr().out


def test_the_page_names_every_field_and_format() -> None:
    page = PAGE.read_text(encoding="utf-8")
    assert all(f"`{name}`" in page for name in (*record(Outcome("")), *FORMATS))


def test_the_package_offers_it_and_nothing_else() -> None:
    assert ser.Predictor is Predictor
    assert ser.Prediction is Prediction
    with pytest.raises(AttributeError, match="no attribute 'Prophet'"):
        _ = ser.Prophet  # type: ignore[attr-defined]


def modules_after(program: str, *arguments: str | Path) -> set[str]:
    code = f"import sys\n{program}\nprint('MODULES', *sys.modules)"
    done = subprocess.run([sys.executable, "-c", code, *map(str, arguments)], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    return set(done.stdout.splitlines()[-1].split())


def test_the_package_alone_loads_nothing() -> None:
    assert not {"numpy", "torch", "pydantic"} & modules_after("import ser")


def test_an_exported_model_needs_neither_torch_nor_librosa(exported: Path, prepared: Workspace) -> None:
    program = "import ser; print(ser.Predictor.load(sys.argv[1]).predict(sys.argv[2]).emotion)"
    modules = modules_after(program, exported, next(prepared.raw.rglob("*.wav")))
    assert "onnxruntime" in modules
    assert not {"torch", "librosa", "pandas", "sklearn", "transformers", "onnx", "rich", "typer"} & modules


HOURS = """
import resource
import ser
predictor = ser.Predictor.load(sys.argv[1], voice="energy")
predictor.predict(sys.argv[2])
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
found = predictor.predict(sys.argv[3])
print(len(found.timeline), round(found.seconds), (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024, file=sys.stderr)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss counts in KiB on Linux")
def test_hours_are_heard_in_the_memory_of_minutes(exported: Path, tmp_path: Path) -> None:
    """Three quarters of an hour of stereo at 8 kHz, 173 MB as float32, with two minutes of speech."""
    speech = np.random.default_rng(0).normal(0, 0.1, (60 * 8_000, 2)).clip(-1, 1)
    for name, minutes in (("short", 1), ("long", 45)):
        with soundfile.SoundFile(tmp_path / f"{name}.wav", "w", 8_000, 2, "PCM_16") as file:
            for minute in range(minutes):
                file.write(speech if minute in (0, 30) else 0.001 * speech)
    code = f"import sys\n{HOURS}"
    command = [sys.executable, "-c", code, str(exported), str(tmp_path / "short.wav"), str(tmp_path / "long.wav")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    cells, seconds, mebibytes = map(int, done.stderr.split())
    assert seconds == 2700
    assert 40 <= cells <= 55
    assert mebibytes < 60
