"""The program from Python: train, open, predict, embed, compare; from threads, in an event loop, in other processes."""

import asyncio
import copy
import json
import pickle
import shutil
import sys
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import ModuleType
from xml.etree import ElementTree

import numpy as np
import pytest
import soundfile
from numpy.typing import NDArray

import ser
from ser.audio.recording import ArrayRecording
from ser.audio.scan import scan
from ser.export.onnx_file import export_run
from ser.inference.attention import Attention
from ser.inference.formats import Outcome, record
from ser.inference.plan import lay_out
from ser.inference.recogniser import Recogniser
from ser.runs import run as run_files
from workspace import Workspace, metrics_of, rows_of

RATE = 16_000
Samples = NDArray[np.float32]


def speech_like(seconds: float, seed: int) -> Samples:
    """A buzz of changing pitch."""
    times = np.arange(round(seconds * RATE)) / RATE
    pitch = 120 + 60 * np.sin(2 * np.pi * (0.5 + seed % 3) * times + seed)
    return (0.2 * np.sign(np.sin(2 * np.pi * np.cumsum(pitch) / RATE))).astype(np.float32)


@pytest.fixture(scope="module")
def exported(finished: run_files.Run, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("exported") / "model.onnx"
    export_run(finished, path)
    return path


@pytest.fixture(scope="module")
def predictor(finished: run_files.Run) -> ser.Predictor:
    return ser.load(finished.folder, window=2.0, voice="energy")


# -- configs --------------------------------------------------------------------------


def test_a_config_takes_settings_and_sections() -> None:
    plain = ser.load_config("spectral_crnn")
    changed = ser.load_config(
        "spectral_crnn.yaml",
        ["project.seed=5"],
        train={"epochs": 3},
        labels={"keep": ("happy", "sad")},
        project={"runs_dir": Path("elsewhere"), "seed": 4},
    )
    assert (changed.train.epochs, changed.labels.keep, changed.project.runs_dir) == (3, ("happy", "sad"), "elsewhere")
    assert changed.project.seed == 5
    assert changed.train.batch_size == plain.train.batch_size


@pytest.mark.parametrize(
    ("sections", "words"),
    [
        ({"train": {"epoch": 3}}, "epochs"),
        ({"trian": {"epochs": 3}}, "trian"),
        ({"train": {"epochs": "many"}}, "train= of load_config"),
        ({"train": 3}, "train"),
    ],
)
def test_a_wrong_section_names_the_key(sections: dict[str, dict[str, object]], words: str) -> None:
    with pytest.raises(ser.ConfigError, match=words):
        ser.load_config("spectral_crnn", (), **sections)


# -- runs -----------------------------------------------------------------------------


def test_a_run_shows_what_was_measured(finished: run_files.Run) -> None:
    run = ser.load_run(str(finished.folder))
    stored = metrics_of(finished)
    assert run.path == finished.folder
    assert run.scores.uar.value == stored["uar"]
    assert run.scores.to_json()["intervals"] == stored["intervals"]
    assert run.config.train.epochs == 8
    assert f"{100 * stored['uar']:.1f} %" in repr(run)


def test_the_predictions_of_a_run_are_a_table(finished: run_files.Run) -> None:
    table, rows = ser.load_run(finished.folder).predictions, rows_of(finished.predictions)
    assert len(table) == len(rows) > 1
    assert list(table.columns) == list(rows[0])
    assert [{name: str(cell) for name, cell in row.items()} for row in table] == rows
    assert table[-1] == list(table)[-1]
    assert table[1:3] == [table[1], table[2]]
    assert len(repr(table)) < 300
    with pytest.raises(IndexError):
        _ = table[len(table)]


def test_the_table_becomes_a_data_frame_where_pandas_is(finished: run_files.Run, monkeypatch: pytest.MonkeyPatch) -> None:
    table = ser.load_run(finished.folder).predictions
    monkeypatch.setitem(sys.modules, "pandas", None)
    with pytest.raises(ser.ConfigError, match="pip install pandas"):
        table.to_pandas()
    pandas = ModuleType("pandas")
    pandas.DataFrame = dict  # type: ignore[attr-defined]
    monkeypatch.setitem(sys.modules, "pandas", pandas)
    assert list(table.to_pandas()) == list(table.columns)


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ser.DataError, match="not a finished run"):
        ser.load_run(tmp_path)


def test_a_run_writes_its_report(finished: run_files.Run, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("jinja2")
    run = ser.load_run(shutil.copytree(finished.folder, tmp_path / "run"))
    page = run.report(audio=False, clips=0, settings=[f"project.processed_dir={tmp_path}"])
    assert page == run.path / "report.html"
    text = page.read_text(encoding="utf-8")
    assert run.scores.uar.in_percent().split()[0] in text
    assert "it was turned off (--clips 0)" in text or "is missing" in text
    assert run.path.name in (run.path / "MODEL_CARD.md").read_text(encoding="utf-8")


def test_runs_are_compared(finished: run_files.Run) -> None:
    result = ser.compare(ser.load_run(finished.folder), str(finished.folder))
    assert result.uar.difference == result.wa.difference == 0
    assert str(result) == result.sentence
    assert "score alike" in result.sentence or "No verdict" in result.sentence


def test_training_in_a_coroutine_beside_predictions(workspace: Workspace, predictor: ser.Predictor) -> None:
    """In a thread of the event loop's pool, where no signal handler may be installed."""

    async def work() -> tuple[ser.Run, list[ser.Prediction]]:
        config = ser.load_config(workspace.config_file, train={"epochs": 1})
        training = asyncio.to_thread(ser.train, config, "from_python")
        predicting = asyncio.gather(*(asyncio.to_thread(predictor.predict, speech_like(1, seed), RATE) for seed in range(2)))
        run, predictions = await asyncio.gather(training, predicting)
        direct = predictor.predict(speech_like(1, 0), RATE)  # in the thread of the loop itself
        return run, [*predictions, direct]

    run, predictions = asyncio.run(work())
    assert run.path == workspace.runs / "from_python"
    assert run.scores.epochs == 1
    assert predictions[0] == predictions[2] == run_free(predictor, 0)
    assert run.load().predict(speech_like(1, 0), RATE).probabilities.keys() == predictions[0].probabilities.keys()
    with pytest.raises(ser.ConfigError, match="exists"):
        ser.train(workspace.config(), "from_python")
    with pytest.raises(ser.ConfigError, match="folder"):
        ser.train(workspace.config(), "a/b")


def run_free(predictor: ser.Predictor, seed: int) -> ser.Prediction:
    return predictor.predict(speech_like(1, seed), RATE)


# -- predictions ----------------------------------------------------------------------


def test_eight_threads_predict_as_one(predictor: ser.Predictor) -> None:
    clips = [speech_like(0.5 + seed / 4, seed) for seed in range(24)]
    serial = [predictor.predict(clip, RATE) for clip in clips]
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(lambda clip: predictor.predict(clip, RATE), clips)) == serial


@pytest.mark.parametrize("kind", ["run", "file"])
def test_a_predictor_travels_by_its_path(
    finished: run_files.Run, exported: Path, kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    path = finished.folder if kind == "run" else exported
    monkeypatch.chdir(path.parent)
    predictor = ser.load(path.name, window=1.5, hop=0.5)
    content = pickle.dumps(predictor)
    monkeypatch.chdir(tmp_path)
    assert len(content) < 2_000
    for copied in (pickle.loads(content), copy.deepcopy(predictor)):
        assert (copied.window, copied.hop) == (1.5, 0.5)
        assert copied.predict(speech_like(3, 1), RATE) == predictor.predict(speech_like(3, 1), RATE)
    assert len(repr(predictor)) < 400


def test_a_predictor_of_a_model_in_memory_is_not_pickled(predictor: ser.Predictor) -> None:
    with pytest.raises(TypeError, match=r"ser\.load"):
        pickle.dumps(ser.Predictor(predictor.model))


def test_many_files_are_predicted_past_a_broken_one(predictor: ser.Predictor, tmp_path: Path) -> None:
    (tmp_path / "broken.wav").write_bytes(b"no audio")
    for name in ("a", "b"):
        soundfile.write(tmp_path / f"{name}.wav", speech_like(1, ord(name)), RATE)
    paths: list[str | Path] = [tmp_path / "a.wav", tmp_path / "broken.wav", str(tmp_path / "b.wav")]
    first, error, last = predictor.predict_many(paths)
    assert [first, last] == [predictor.predict(paths[0]), predictor.predict(paths[2])]
    assert isinstance(error, ser.AudioError)
    assert error.reason == "not-audio"
    results = predictor.predict_many(paths, on_error="raise")
    assert next(results) == first
    with pytest.raises(ser.AudioError) as raised:
        next(results)
    assert "broken.wav" in raised.value.__notes__[0]
    with pytest.raises(ValueError, match="a single path to predict"):
        predictor.predict_many(str(paths[0]))
    with pytest.raises(ValueError, match="on_error='ignore'"):
        predictor.predict_many(paths, on_error="ignore")  # type: ignore[arg-type]


# -- embeddings -----------------------------------------------------------------------


def test_the_embedding_of_a_clip_is_that_of_the_model(finished: run_files.Run, predictor: ser.Predictor) -> None:
    clip = speech_like(1, 3)
    vector = predictor.embed(clip, RATE)
    assert vector.dtype == np.float32
    np.testing.assert_allclose(vector, Recogniser.load(finished.best).infer(clip, RATE).embedding, rtol=0, atol=1e-6)
    prediction, same = predictor.predict_and_embed(clip, RATE)
    assert prediction == predictor.predict(clip, RATE)
    np.testing.assert_array_equal(same, vector)


@pytest.mark.parametrize("seconds", [1.0, 9.0])
def test_run_and_exported_file_embed_alike(finished: run_files.Run, exported: Path, seconds: float) -> None:
    clip = np.concatenate([speech_like(seconds, 5), np.zeros(RATE, np.float32)])
    one, other = (ser.load(path, window=2.0, hop=1.0).embed(clip, RATE) for path in (finished.folder, exported))
    assert np.abs(one).max() > 1e-3
    np.testing.assert_allclose(one, other, rtol=0, atol=1e-5)


def test_the_embedding_of_a_long_recording_is_the_mean_over_its_speech(predictor: ser.Predictor) -> None:
    clip = np.concatenate([speech_like(5, 1), np.zeros(3 * RATE, np.float32), speech_like(4, 2)])
    recording = ArrayRecording(clip, RATE)
    plan = lay_out(scan(recording, None), predictor.model.audio, predictor.window, predictor.hop)
    outputs = predictor.model.infer_clips([(clip[first:last], RATE) for first, last in plan.spans])
    assert len(set(plan.speech_in_regions)) > 1
    expected = np.average([output.embedding for output in outputs], axis=0, weights=plan.speech_in_regions)
    np.testing.assert_allclose(predictor.embed(clip, RATE), expected, rtol=0, atol=1e-5)


# -- how a prediction is shown --------------------------------------------------------


@pytest.fixture(scope="module")
def long_prediction(predictor: ser.Predictor) -> ser.Prediction:
    """With 1200 segments of two emotions."""
    found = predictor.predict(speech_like(5, 1), RATE)
    cell = found.timeline[0]
    cells = tuple(replace(cell, start=i / 2, end=(i + 1) / 2, emotion=("sad", "happy")[i % 2]) for i in range(1200))
    return replace(found, timeline=cells, segments=cells, seconds=600.0, attention={"spectral": Attention(20.0, (1.0,) * 12_000)})


def test_the_repr_is_short_however_long_the_recording(long_prediction: ser.Prediction) -> None:
    assert len(repr(long_prediction)) < 100
    assert long_prediction.emotion in repr(long_prediction)


def test_the_dictionary_is_what_the_command_writes(predictor: ser.Predictor) -> None:
    prediction = predictor.predict(speech_like(5, 1), RATE)
    found = prediction.to_dict()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    written = record(Outcome("a.wav", prediction))
    assert found == {name: written[name] for name in found}
    assert written.keys() - found.keys() == {"path", "reason", "detail"}


def test_a_notebook_shows_bars_and_a_timeline(long_prediction: ser.Prediction) -> None:
    page = ElementTree.fromstring(f"<body>{long_prediction._repr_html_()}</body>")
    svg = "{http://www.w3.org/2000/svg}"
    texts = [text.text for text in page.iter(f"{svg}text")]
    assert {*long_prediction.probabilities} <= {*texts}
    assert "600.0 s" in texts
    titles = [title.text for title in page.iter(f"{svg}title")]
    assert titles[:2] == ["sad, 0.0 to 0.5 s", "happy, 0.5 to 1.0 s"]
    assert len(titles) == 500
    assert not list(page.iter("script"))
    short = replace(long_prediction, segments=long_prediction.segments[:1])
    assert "timeline" not in short._repr_html_()


def test_the_names_of_classes_are_escaped(long_prediction: ser.Prediction) -> None:
    nasty = "<script>alert(1)</script>"
    cell = replace(long_prediction.segments[0], emotion=nasty)
    html = replace(long_prediction, emotion=nasty, probabilities={nasty: 1.0}, segments=(cell, cell))._repr_html_()
    assert "<script" not in html
    assert html.count("&lt;script") >= 4


def test_a_prediction_is_plotted(long_prediction: ser.Prediction, tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    figure = long_prediction.plot()
    assert len(figure.axes) == 2
    assert [label.get_text() for label in figure.axes[0].get_yticklabels()] == [
        name for name, _ in sorted(long_prediction.probabilities.items(), key=lambda item: item[1])
    ]
    figure.savefig(tmp_path / "prediction.png")
    assert (tmp_path / "prediction.png").read_bytes().startswith(b"\x89PNG")
    assert len(replace(long_prediction, segments=()).plot().axes) == 1


def test_a_plot_without_matplotlib_says_what_to_install(long_prediction: ser.Prediction, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    with pytest.raises(ser.ConfigError, match="viz"):
        long_prediction.plot()
