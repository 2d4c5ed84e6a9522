"""`ser predict`: what it takes, what it prints, and with which code it ends."""

import csv
import gc
import io
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

from conftest import Ser
from processes import PATIENCE, loaded_by
from ser.commands.predict import find_sources
from ser.export.onnx_file import export_run
from ser.inference.choose_model import VARIABLE, choose_model
from ser.inference.formats import FORMATS
from ser.inference.options import PredictOptions
from ser.inference.prediction import Embedding, Prediction
from ser.inference.predictor import Predictor
from ser.reasons import SKIP_REASONS
from ser.runs.run import Run
from ser.system import progress
from sound_files import DATA, wave, wave_format
from workspace import Workspace, printed_rows

BROKEN = {
    "empty": b"",
    "not-audio": b"hello, world",
    "header-only": wave(data=b""),
    "truncated": wave()[:-9_000],
    "unsupported-codec": wave(wave_format(tag=2)),
    "rate-too-low": wave(wave_format(rate=3_000)),
    "too-short": wave(data=DATA[:1_000]),
    "silent": wave(data=b"\0\0" * 8_000),
}


@pytest.fixture
def clip(prepared: Workspace) -> Path:
    return min(prepared.raw.rglob("*.wav"))


@pytest.fixture
def folder(tmp_path: Path, clip: Path) -> Path:
    """Two good files and two broken ones, and something else."""
    place = tmp_path / "calls"
    (place / "deeper").mkdir(parents=True)
    shutil.copy(clip, place / "a.wav")
    shutil.copy(clip, place / "deeper/b.WAV")
    (place / "c.mp3").write_bytes(BROKEN["truncated"])
    (place / "d.wav").write_bytes(b"")
    (place / "notes.txt").write_text("hello")
    return place


@pytest.fixture(scope="module")
def exported(finished: Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


def parsed(text: str) -> Any:
    def refuse(constant: str) -> Any:
        raise AssertionError(f"{constant} is no strict JSON")

    return json.loads(text, parse_constant=refuse)


# -- files, folders, patterns, standard input ---------------------------------------------


def test_a_file_gives_a_table(finished: Run, clip: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, clip)
    assert answer.code == 0
    (row,) = printed_rows(answer.out)
    assert row[0] == str(clip)
    assert row[1] in {"unknown", *row[2].replace(",", "").split()}
    assert float(row[4]) > 0.3
    assert answer.err == ""


def test_a_long_recording_gives_its_timeline_as_well(finished: Run, tmp_path: Path, ser: Ser) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * 8_000)
    noise[10 * 8_000 : 20 * 8_000] *= 1e-4
    soundfile.write(tmp_path / "long.wav", noise, 8_000)
    answer = ser("predict", "--model", finished.folder, tmp_path / "long.wav", "--window", 2, "--hop", 1)
    rows = printed_rows(answer.out)
    assert "8khz" in rows[0]
    assert "timeline" in answer.out
    assert rows[1][0] == "0:00:00.0"
    assert rows[-1][1] == "0:00:30.0"
    assert not any(row[0] < "0:00:15.0" < row[1] for row in rows[1:])


@pytest.mark.parametrize("form", FORMATS)
def test_every_format_goes_to_standard_output_alone(finished: Run, clip: Path, ser: Ser, form: str) -> None:
    answer = ser("predict", "--model", finished.folder, clip, "--format", form)
    assert (answer.code, answer.err) == (0, "")
    assert answer.out
    if form == "json":
        assert [row["path"] for row in parsed(answer.out)] == [str(clip)]
    if form == "jsonl":
        assert [parsed(line)["path"] for line in answer.out.splitlines()] == [str(clip)]
    if form == "csv":
        assert [row["path"] for row in csv.DictReader(io.StringIO(answer.out))] == [str(clip)]


@pytest.mark.parametrize(
    ("name", "arguments"), [("x.json", []), ("x.jsonl", []), ("x.csv", []), ("x.srt", []), ("t.csv", ["--format", "timeline-csv"])]
)
def test_a_file_holds_what_would_be_printed(finished: Run, clip: Path, tmp_path: Path, ser: Ser, name: str, arguments: list[str]) -> None:
    command = ("predict", "--model", finished.folder, clip)
    path = tmp_path / "deep" / name
    answer = ser(*command, "-o", path, *arguments)
    assert (answer.code, answer.out, answer.err) == (0, f"written: {path}\n", "")
    form = arguments[-1] if arguments else path.suffix[1:]
    assert path.read_text() == ser(*command, "--format", form).out
    assert list(path.parent.iterdir()) == [path]


def test_a_file_has_the_rows_of_broken_recordings_too(finished: Run, folder: Path, tmp_path: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, folder, "-o", tmp_path / "x.csv")
    assert answer.code == 3
    assert len((tmp_path / "x.csv").read_text().splitlines()) == 5


def test_a_checkpoint_is_no_model_but_its_folder_is(finished: Run, clip: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.best, clip)
    assert (answer.code, answer.err) == (3, f"ser: {finished.best} is a checkpoint: give the folder of the run, {finished.folder}\n")


@pytest.mark.parametrize("pattern", ["calls [2024]/*.wav", "calls [2024]/**/*.wav", "calls [[]2024]/*.wav", "calls ?2024?/*", "c*/[a].wav"])
def test_brackets_in_the_name_of_a_folder_are_no_pattern(tmp_path: Path, pattern: str) -> None:
    folder = tmp_path / "calls [2024]"
    folder.mkdir()
    (folder / "[a].wav").touch()
    assert find_sources([f"{tmp_path}/{pattern.replace('/[a]', '/[[]a]')}"], "table") == [folder / "[a].wav"]


def test_a_folder_is_searched_and_its_broken_files_are_rows(finished: Run, folder: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, folder, "--format", "json")
    rows = {Path(row["path"]).name: row for row in parsed(answer.out)}
    assert {name: row["reason"] for name, row in rows.items()} == {"a.wav": None, "b.WAV": None, "c.mp3": "truncated", "d.wav": "empty"}
    assert rows["a.wav"]["probabilities"] == rows["b.WAV"]["probabilities"]
    assert all(rows[name]["emotion"] is None for name in ("c.mp3", "d.wav"))
    assert answer.code == 3
    assert answer.err == f"ser: 2 of 4 files cannot be used: {folder / 'c.mp3'} (truncated), {folder / 'd.wav'} (empty)\n"


def test_the_table_shows_broken_files_too(finished: Run, folder: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, folder)
    rows = {Path(row[0]).name: row for row in printed_rows(answer.out)}
    assert rows["d.wav"][1:4] == ["-", "", "empty: 0 bytes"]
    assert answer.code == 3


@pytest.mark.parametrize("reason", BROKEN)
def test_a_broken_file_that_was_named_is_an_error(finished: Run, tmp_path: Path, ser: Ser, reason: str) -> None:
    assert reason in SKIP_REASONS
    path = tmp_path / "x.wav"
    path.write_bytes(BROKEN[reason])
    answer = ser("predict", "--model", finished.folder, path)
    assert (answer.code, answer.out) == (3, "")
    assert answer.err.startswith(f"ser: {path}: {reason}: ")
    assert len(answer.err.splitlines()) == 1


def test_files_behind_a_broken_one_are_heard(finished: Run, tmp_path: Path, clip: Path, ser: Ser) -> None:
    absent = [tmp_path / "absent.wav", tmp_path / f"{300 * 'x'}.wav"]
    answer = ser("predict", "--model", finished.folder, *absent, clip, "--format", "jsonl")
    assert [parsed(line)["reason"] for line in answer.out.splitlines()] == ["unreadable", "unreadable", None]
    assert answer.code == 3
    assert "2 of 3 files cannot be used" in answer.err


def test_a_pattern_that_no_shell_has_expanded_is_one(finished: Run, folder: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, f"{folder}/**/*.[wW]*[vV]", "--format", "jsonl")
    assert [Path(parsed(line)["path"]).name for line in answer.out.splitlines()] == ["a.wav", "d.wav", "b.WAV"]


def test_a_file_whose_name_looks_like_a_pattern_is_a_file(tmp_path: Path) -> None:
    (tmp_path / "[a].wav").touch()
    assert find_sources([str(tmp_path / "[a].wav")], "table") == [tmp_path / "[a].wav"]


@pytest.mark.parametrize(
    ("arguments", "code", "words"),
    [
        (["{folder}/*.flac"], 3, "matches no audio file"),
        (["{folder}/deepest"], 3, "contains no audio file"),
        (["-", "-"], 2, "can be read only once"),
        (["{folder}", "--format", "srt"], 2, "--format srt is for a single recording, and 4 were given"),
        (["{folder}", "--format", "xml"], 2, "--format xml: choose table, json, jsonl, csv, timeline-csv, rttm, srt"),
        (["{folder}", "-o", "x.txt"], 2, "--output x.txt: give a name that ends in .json, .jsonl, .csv, .rttm or .srt, or --format"),
        (["{folder}", "-o", "x.csv", "--format", "table"], 2, "--format table: choose json, jsonl, csv, timeline-csv, rttm, srt for --out"),
        (["{folder}", "-o", "{folder}", "--format", "csv"], 2, "is a folder: --output names the file to write"),
        (["{folder}", "-o", "x.srt"], 2, "--format srt is for a single recording, and 4 were given"),
        (["{folder}", "-o", ""], 2, "--output is empty"),
        (["--mic", "-o", "x.csv"], 2, "--output is for recordings"),
        (["{folder}", "--window", "7"], 2, "this model uses 5 s of a clip"),
        (["{folder}", "--hop", "0"], 2, "a hop of 0 s"),
        ([""], 2, "a path is empty"),
        (["{folder}", "--backbone", ""], 2, "--backbone is empty"),
    ],
)
def test_what_cannot_be_followed_is_one_line(finished: Run, folder: Path, ser: Ser, arguments: list[str], code: int, words: str) -> None:
    (folder / "deepest").mkdir()
    answer = ser("predict", "--model", finished.folder, *(argument.format(folder=folder) for argument in arguments))
    assert (answer.code, answer.out) == (code, "")
    assert words in answer.err
    assert len(answer.err.splitlines()) == 1


def test_an_empty_model_is_not_the_folder_here(clip: Path, ser: Ser) -> None:
    for arguments in ((clip, "-m", ""), ("--mic", "-m", "")):
        answer = ser("predict", *arguments)
        assert (answer.code, answer.out, answer.err) == (2, "", "ser: --model is empty\n")


def test_what_is_meant_several_times_is_heard_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "deep/er").mkdir(parents=True)
    for name in ("b.wav", "deep/a.wav", "deep/er/c.wav"):
        (tmp_path / name).touch()
    (tmp_path / "link.wav").symlink_to(tmp_path / "b.wav")
    monkeypatch.chdir(tmp_path)
    paths = ["./deep/../b.wav", "-", "**", "absent.wav", ".", "link.wav", "./absent.wav"]
    assert [str(source) for source in find_sources(paths, "table")] == [
        "deep/../b.wav",
        "-",
        "deep/a.wav",
        "deep/er/c.wav",
        "absent.wav",
    ]
    assert find_sources(["b.wav", str(tmp_path / "b.wav")], "srt") == [Path("b.wav")]


@pytest.fixture
def locked(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that cannot be listed, whoever runs the tests."""
    (folder / "locked").mkdir()
    scandir = os.scandir

    def refuse(path: str | Path | int) -> Any:
        if not isinstance(path, int) and Path(path).name == "locked":
            raise PermissionError(13, "Permission denied", str(path))
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse)
    return folder / "locked"


def test_a_folder_that_cannot_be_listed_is_a_row(finished: Run, locked: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", finished.folder, locked.parent, locked, "--format", "json")
    rows = {Path(row["path"]).name: row for row in parsed(answer.out)}
    assert len(rows) == len(parsed(answer.out)) == 5
    assert (rows["locked"]["reason"], rows["locked"]["detail"]) == ("unreadable", f"{locked} cannot be listed: Permission denied")
    assert rows["a.wav"]["emotion"]
    assert (answer.code, "3 of 5 files cannot be used" in answer.err) == (3, True)
    alone = ser("predict", "--model", finished.folder, locked)
    assert (alone.code, alone.out) == (3, "")
    assert alone.err == f"ser: {locked}: unreadable: {locked} cannot be listed: Permission denied\n"


# -- what Ctrl-C leaves -------------------------------------------------------------------


@pytest.mark.parametrize("finished_before", [0, 2])
@pytest.mark.parametrize("form", ["table", "json", "jsonl", "csv"])
def test_what_was_finished_before_ctrl_c_is_printed(
    finished: Run, clip: Path, tmp_path: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch, form: str, finished_before: int
) -> None:
    for name in "abcd":
        shutil.copy(clip, tmp_path / f"{name}.wav")
    predict = Predictor.predict_and_embed
    heard: list[Any] = []

    def interrupted(*arguments: Any, **named: Any) -> tuple[Prediction, Embedding]:
        if len(heard) == finished_before:
            raise KeyboardInterrupt
        heard.append(arguments)
        return predict(*arguments, **named)

    monkeypatch.setattr(Predictor, "predict_and_embed", interrupted)
    answer = ser("predict", "--model", finished.folder, tmp_path, "--format", form)
    assert (answer.code, answer.err) == (130, "ser: stopped by Ctrl-C; what was finished is kept\n")
    readers: dict[str, Callable[[str], list[str]]] = {
        "table": lambda text: [row[0] for row in printed_rows(text)] if text else [],
        "json": lambda text: [row["path"] for row in parsed(text)],
        "jsonl": lambda text: [parsed(line)["path"] for line in text.splitlines()],
        "csv": lambda text: [row["path"] for row in csv.DictReader(io.StringIO(text))],
    }
    assert [Path(name).name for name in readers[form](answer.out)] == ["a.wav", "b.wav"][:finished_before]


def test_a_table_keeps_rows_and_no_predictions(
    finished: Run, clip: Path, tmp_path: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch
) -> None:
    for number in range(6):
        shutil.copy(clip, tmp_path / f"{number}.wav")
    predict, alive = Predictor.predict_and_embed, []

    def counting(*arguments: Any, **named: Any) -> tuple[Prediction, Embedding]:
        alive.append(sum(type(thing) is Prediction for thing in gc.get_objects()))
        return predict(*arguments, **named)

    monkeypatch.setattr(Predictor, "predict_and_embed", counting)
    assert len(printed_rows(ser("predict", "--model", finished.folder, tmp_path).out)) == 6
    assert alive[-1] - alive[0] <= 2


def test_a_recording_in_the_place_of_the_model_is_told(clip: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", clip, clip)
    assert answer.code == 3
    assert "is not a model: give the folder of a run" in answer.err


def test_many_files_move_a_progress_on(
    finished: Run, folder: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(progress, "LOG_EVERY_SECONDS", 0.0)
    with caplog.at_level("INFO", logger="ser"):
        answer = ser("predict", "--model", finished.folder, folder, "-v")
    assert "predict: 4 of 4" in answer.err + caplog.text


# -- which model --------------------------------------------------------------------------


@pytest.fixture
def here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A working directory without runs."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv(VARIABLE, raising=False)
    return tmp_path


def make_run(folder: Path, seconds: int, *, finished: bool = True) -> Path:
    """What the choice looks at, with the times of the files."""
    folder.mkdir(parents=True)
    for name in ("best.pth", *(["test_metrics.json"] if finished else [])):
        (folder / name).touch()
        os.utime(folder / name, (seconds, seconds))
    return folder


def test_without_a_model_the_newest_finished_run_is_meant_and_named(here: Path, capsys: pytest.CaptureFixture[str]) -> None:
    make_run(here / "runs/old", 100)
    make_run(here / "runs/new", 300)
    make_run(here / "runs/at_work", 400, finished=False)
    make_run(here / "runs/protocols/fold", 500)
    assert choose_model(PredictOptions()) == Path("runs/new")
    assert capsys.readouterr() == ("", "ser: the model is runs/new (--model names another)\n")


def test_the_command_line_goes_before_the_environment_and_that_before_the_runs(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make_run(here / "runs/a", 300)
    (here / "other.onnx").touch()
    monkeypatch.setenv(VARIABLE, "other.onnx")
    assert choose_model(PredictOptions("given.onnx")) == Path("given.onnx")
    assert choose_model(PredictOptions()) == Path("other.onnx")
    monkeypatch.setenv(VARIABLE, "")
    assert choose_model(PredictOptions()) == Path("runs/a")


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("name", ["gone.onnx", 300 * "x", "\x1b[31m"])
def test_a_model_of_the_environment_that_is_gone_is_told_as_such(clip: Path, ser: Ser, monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(VARIABLE, name)
    answer = ser("predict", clip)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.startswith(f"ser: {VARIABLE} names ")
    assert "\x1b" not in answer.err


@pytest.mark.usefixtures("here")
def test_no_model_at_all_is_one_line_that_says_how_to_get_one(clip: Path, ser: Ser) -> None:
    answer = ser("predict", clip)
    assert (answer.code, answer.out) == (2, "")
    assert answer.err.count("\n") == 1
    assert all(word in answer.err for word in ("--model", VARIABLE, "ser demo"))


def test_the_newest_run_predicts(here: Path, finished: Run, exported: Path, clip: Path, ser: Ser) -> None:
    shutil.copytree(finished.folder, here / "runs/mine")
    shutil.copy(exported, here / "runs/mine/model.onnx")
    answer = ser("predict", clip, "--format", "jsonl")
    assert parsed(answer.out)["path"] == str(clip)
    assert answer.err == "ser: the model is runs/mine/model.onnx (--model names another)\n"


def test_a_model_among_the_recordings_is_told(finished: Run, exported: Path, clip: Path, ser: Ser) -> None:
    for model in (finished.folder, exported):
        for answer in (ser("predict", model, clip), ser("predict", clip, model, "-m", exported)):
            assert (answer.code, answer.out) == (2, "")
            assert answer.err == f"ser: {model} is a model, not a recording: give it with --model\n"


def test_nothing_to_hear_is_told(exported: Path, ser: Ser) -> None:
    answer = ser("predict", "--model", exported)
    assert answer.code == 2
    assert answer.err == "ser: no input: give files, folders, patterns, - for standard input, or --mic\n"


# -- the real program ---------------------------------------------------------------------


def program(*arguments: str | Path, content: bytes = b"") -> subprocess.CompletedProcess[bytes]:
    command = [sys.executable, "-c", "from ser.cli import main; main()", "predict", *map(str, arguments)]
    return subprocess.run(command, input=content, capture_output=True, check=False)


def test_bytes_on_standard_input_are_the_file(exported: Path, clip: Path) -> None:
    piped = program("--model", exported, "-", "--format", "json", content=clip.read_bytes())
    assert piped.returncode == 0, piped.stderr
    (by_pipe,), (by_name,) = parsed(piped.stdout.decode()), parsed(program("--model", exported, clip, "--format", "json").stdout.decode())
    assert by_pipe.pop("path") == "stdin"
    assert by_name.pop("path") == str(clip)
    assert by_pipe == by_name


@pytest.mark.parametrize("closed", ["< /dev/null", "<&-"])
def test_nothing_on_standard_input_is_an_error(exported: Path, closed: str) -> None:
    command = f'"{sys.executable}" -c "from ser.cli import main; main()" predict --model "{exported}" - {closed}'
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (3, "ser: stdin: empty: 0 bytes\n")


@pytest.mark.parametrize("name", ["a\nb.wav", "\x1b[31m.wav", "bytes\udcff.wav", "=1+1.wav", "ü 1.wav"])
def test_odd_names_break_nothing(exported: Path, clip: Path, tmp_path: Path, name: str) -> None:
    try:
        shutil.copy(clip, tmp_path / name)
    except OSError:
        pytest.skip("this file system takes no such name")
    done = program("--model", exported, tmp_path, "--format", "csv")
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 2
    assert b"\x1b" not in done.stdout


AS_PROGRAM = """
import sys
from ser.cli import main
sys.argv = {arguments!r}
try:
    main()
except SystemExit as end:
"""


@pytest.mark.parametrize("form", ["table", "json"])
def test_an_exported_model_is_used_without_torch(exported: Path, clip: Path, form: str) -> None:
    arguments = ["ser", "predict", "--model", str(exported), str(clip), "--format", form]
    code = f"{AS_PROGRAM.format(arguments=arguments)}    assert not end.code"
    assert loaded_by(code) == {"onnxruntime"}


def test_help_loads_nothing_heavy() -> None:
    code = AS_PROGRAM.format(arguments=["ser", "predict", "--help"]) + "    assert not end.code"
    assert not loaded_by(code + "\nassert 'numpy' not in sys.modules")


def test_a_reader_that_leaves_early_is_no_matter(exported: Path, folder: Path) -> None:
    command = (
        f'"{sys.executable}" -c "from ser.cli import main; main()" predict --model "{exported}" "{folder}" --format jsonl | head -c 10'
    )
    done = subprocess.run(["bash", "-c", command], capture_output=True, text=True, check=False)
    assert done.stderr.splitlines() == [f"ser: 2 of 4 files cannot be used: {folder / 'c.mp3'} (truncated), {folder / 'd.wav'} (empty)"]
    assert len(done.stdout) == 10


@pytest.mark.timing
def test_ctrl_c_stops_without_a_traceback(exported: Path, tmp_path: Path) -> None:
    noise = np.random.default_rng(0).normal(0, 0.1, 600 * 8_000)
    soundfile.write(tmp_path / "long.wav", noise, 8_000)
    code = """
import signal, sys
from ser.cli import main
signal.signal(signal.SIGINT, signal.default_int_handler)
sys.addaudithook(lambda event, values: event == "open" and str(values[0]).endswith("long.wav") and print("up", flush=True))
main()
"""
    command = [
        sys.executable,
        "-c",
        code,
        "predict",
        "--model",
        str(exported),
        str(tmp_path / "long.wav"),
        "--hop",
        "0.1",
        "--vad",
        "energy",
    ]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
    assert process.stdout is not None
    assert process.stdout.readline() == "up\n"
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=PATIENCE)
    assert process.returncode == 130
    assert err == "ser: stopped by Ctrl-C; what was finished is kept\n"


@pytest.mark.parametrize("option", ["--vad", "--voice"])
def test_the_detector_has_two_names_of_which_help_shows_one(exported: Path, clip: Path, ser: Ser, option: str) -> None:
    answer = ser("predict", clip, "--model", exported, option, "energy", "--format", "json")
    assert json.loads(answer.out)[0]["voice"] == "energy"
    shown = ser("predict", "--help").out
    assert "--vad DETECTOR" in shown
    assert "--voice" not in shown


@pytest.mark.parametrize("suffix", ["npy", "csv"])
def test_embeddings_are_written_beside_the_predictions(finished: Run, tmp_path: Path, ser: Ser, suffix: str) -> None:
    (tmp_path / "a.wav").write_bytes(b"no audio")
    tone = 0.3 * np.sin(np.arange(16_000) / 9)
    soundfile.write(tmp_path / "b.wav", tone, 16_000)
    file = tmp_path / f"vectors.{suffix}"
    answer = ser("predict", "-m", finished.folder, tmp_path / "a.wav", tmp_path / "b.wav", "--embedding", file)
    assert answer.code == 3
    if suffix == "npy":
        absent, vector = np.load(file, allow_pickle=False)
    else:
        rows = list(csv.reader(file.read_text().splitlines()))
        assert [row[0] for row in rows] == ["path", str(tmp_path / "a.wav"), str(tmp_path / "b.wav")]
        absent, vector = (np.array([float(cell or "nan") for cell in row[1:]]) for row in rows[1:])
    assert np.isnan(absent).all()
    np.testing.assert_allclose(vector, Predictor.load(finished.folder).embed(tmp_path / "b.wav"), atol=1e-6)


@pytest.mark.parametrize("arguments", [["--embedding", "x.txt"], ["--embedding", ""], ["--embedding", "x.npy", "--mic"]])
def test_a_place_that_takes_no_embedding_is_refused(finished: Run, ser: Ser, arguments: list[str]) -> None:
    answer = ser("predict", "-m", finished.folder, *([] if "--mic" in arguments else ["a.wav"]), *arguments)
    assert (answer.code, "--embedding" in answer.err) == (2, True)
