"""Figures of one utterance: what stands where on which axis, in which unit; the files of the command, and what it refuses."""

import runpy
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import DIM, LAYERS, tiny_backbone
from conftest import Ser
from places import ROOT
from ser.audio.waveform import Waveform, prepare
from ser.commands.visualize import Subject, copies, copies_title, find_subject, model_view, panels, safe_name, visualize
from ser.config import AudioConfig, FeaturesConfig, MelConfig
from ser.errors import ArtefactError, ConfigError, DataError
from ser.families import SSL
from ser.features.spectral import SpectralExtractor, mel_filters
from ser.features.store import FeatureStore
from ser.pipeline.load import open_all, read_normalisers
from ser.pipeline.stores import augmented_folder
from ser.report.figures.copies import Copy, copies_figure
from ser.report.figures.features import ModelView, features_figure
from ser.report.figures.panel import DEVIATIONS, Panel
from ser.report.figures.rows import chroma_rows, mel_rows, mfcc_rows
from ser.report.figures.stages import StageView, stage_views, waveforms_figure
from ser.report.paper import open_windows, save_figure
from ser.runs.run import Run
from ser.splits.certificate import read_certificate, write_certificate
from ser.splits.split import CERTIFICATE_FILE, Split
from ser.system.optional import install_hint
from trees import write_trees
from workspace import SPEED_ALONE, Workspace, make_workspace, rows_of

pytest.importorskip("matplotlib", reason="the extra viz draws")

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

COARSE = 40
"""Dots per inch where nobody looks at a figure."""
SCRIPTS = ROOT / "scripts"
PNG = b"\x89PNG\r\n\x1a\n"
RATE = 16_000


@pytest.fixture(autouse=True)
def coarse(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.report.paper.DPI", COARSE)


def clip(before: float = 0.3, seconds: float = 1.0, after: float = 0.2, rate: int = RATE) -> Waveform:
    """A tone between silences."""
    tone = 0.5 * np.sin(2 * np.pi * 300 * np.arange(round(seconds * rate)) / rate)
    return np.concatenate([np.zeros(round(before * rate)), tone, np.zeros(round(after * rate))]).astype(np.float32)


def views_of(samples: Waveform, rate: int = RATE, **audio: Any) -> dict[str, StageView]:
    config = AudioConfig(**audio)
    return {view.name: view for view in stage_views(prepare(samples, rate, config), config)}


def mel_panel(samples: Waveform) -> Panel:
    extractor = SpectralExtractor(AudioConfig(), FeaturesConfig(types=("mel",)))
    (values,) = extractor.extract([samples])
    return Panel("log-mel", values, extractor.frame_rate, -0.5 / extractor.frame_rate, mel_rows(MelConfig(), RATE), "dB")


def view_of_model(**changes: Any) -> ModelView:
    values: dict[str, Any] = {
        "attention": {"ssl": np.array([0.5, 0.25, 0.25]), "mel": np.array([0.1, 0.9])},
        "attention_rate": {"ssl": 6.0, "mel": 4.0},
        "gates": {"ssl": 0.8, "mel": 0.2},
        "probabilities": {"happy": 0.7, "sad": 0.3},
        "truth": "sad",
    }
    return ModelView(**values | changes)


def named(figure: "Figure", title: str) -> "Axes":
    """The one whose title starts so."""
    (axes,) = (axes for axes in figure.get_axes() if axes.get_title(loc="left").startswith(title))
    return axes


def colour_bars(figure: "Figure") -> list[str]:
    return [axes.get_ylabel() for axes in figure.get_axes() if axes.get_label() == "<colorbar>"]


# -- the stages of a waveform ------------------------------------------------------------


def test_the_stages_stand_one_above_the_other_with_rate_length_and_peak() -> None:
    figure = waveforms_figure("a clip", list(views_of(clip(rate=48_000), 48_000).values()))
    titles = [axes.get_title(loc="left") for axes in figure.get_axes()]
    assert [title.split(":")[0] for title in titles] == ["raw", "trimmed", "resampled", "fixed", "prepared"]
    assert [title.split(", ")[0].split(": ")[1] for title in titles] == ["48000 Hz"] * 2 + ["16000 Hz"] * 3
    assert titles[0].startswith("raw: 48000 Hz, 1.50 s, peak 0.50 (shaded: 0.4")
    assert titles[-1].endswith("peak 1.00 (scaled to peak 1)")
    assert "seconds" in figure.get_supxlabel()
    assert "amplitude" in figure.get_supylabel()


@settings(max_examples=25, deadline=None)
@given(
    before=st.floats(0, 0.5),
    after=st.floats(0, 0.5),
    rate=st.sampled_from([8000, 16_000, 24_414, 48_000]),
    duration=st.sampled_from([None, 0.3, 0.7, 5.0]),
    pad=st.booleans(),
    trim=st.booleans(),
)
def test_every_stage_stands_where_it_was_in_the_file(
    before: float, after: float, rate: int, duration: float | None, pad: bool, trim: bool
) -> None:
    samples = clip(before, 0.6, after, rate)
    views = views_of(samples, rate, duration=duration, pad=pad, trim_silence=trim)
    first = round(views["trimmed"].start * rate)
    np.testing.assert_array_equal(samples[first:][: len(views["trimmed"].samples)], views["trimmed"].samples)
    resampled, fixed = views["resampled"], views["fixed"]
    shift = round((fixed.start - resampled.start) * RATE)
    line = np.zeros(max(len(resampled.samples), len(fixed.samples)) + abs(shift) + 1, np.float32)
    line[max(-shift, 0) :][: len(resampled.samples)] = resampled.samples
    expected = line[max(shift, 0) :][: len(fixed.samples)]
    np.testing.assert_array_equal(expected, fixed.samples)
    assert views["prepared"].start == fixed.start


@pytest.mark.parametrize(("name", "following"), [("raw", "trimmed"), ("resampled", "fixed")])
def test_the_shade_is_what_the_next_stage_lacks(name: str, following: str) -> None:
    views = views_of(clip(), duration=0.5)
    view, after = views[name], views[following]
    assert len(view.gone) == 2
    assert sum(high - low for low, high in view.gone) == pytest.approx(view.seconds - after.seconds, abs=1e-4)
    figure = waveforms_figure("", list(views.values()))
    shades = [(patch.get_x(), patch.get_x() + patch.get_width()) for patch in named(figure, name).patches]  # type: ignore[attr-defined]
    np.testing.assert_allclose(shades, view.gone)
    assert "shaded" in named(figure, name).get_title(loc="left")


@pytest.mark.parametrize("audio", [{}, {"duration": 0.4}, {"duration": 3.0, "pad": True}, {"trim_silence": False}])
def test_what_was_heard_at_one_time_stands_at_one_place_of_the_page(audio: dict[str, Any]) -> None:
    views = list(views_of(clip(), **audio).values())
    axes = waveforms_figure("", views).get_axes()
    limits = np.array([panel.get_xlim() for panel in axes]) + [[view.start] for view in views]
    np.testing.assert_allclose(limits, [limits[0]] * len(limits), atol=1e-9)
    for panel, view in zip(axes, views, strict=True):
        assert all(-1e-6 <= tick <= view.seconds + 1e-6 for tick in panel.get_xticks())


@pytest.mark.parametrize(
    ("samples", "audio", "name", "note"),
    [
        (clip(), {"trim_silence": False}, "trimmed", "silence is kept"),
        (clip(0, 1, 0), {}, "trimmed", "nothing to trim"),
        (clip(), {}, "trimmed", "ends 30 dB below the loudest frame"),
        (clip(), {}, "resampled", "same rate"),
        (clip(), {}, "fixed", "not longer than 5 s"),
        (clip(), {"duration": None}, "fixed", "any length"),
        (clip(), {"duration": 0.5}, "fixed", "the middle 0.5 s"),
        (clip(), {"duration": 2, "pad": True}, "fixed", "padded to 2 s"),
        (np.zeros(8000, np.float32), {}, "prepared", "silence is not scaled"),
    ],
)
def test_each_stage_tells_what_happened_in_it(samples: Waveform, audio: dict[str, Any], name: str, note: str) -> None:
    assert views_of(samples, **audio)[name].note == note


def test_a_long_waveform_keeps_its_extremes() -> None:
    samples = np.zeros(200_000, np.float32)
    samples[123_456], samples[150_001] = 0.9, -0.7
    view = StageView("raw", samples, RATE, 0.0, "")
    (axes,) = waveforms_figure("", [view]).get_axes()
    (drawn,) = axes.collections
    points = drawn.get_paths()[0].vertices
    assert points[:, 1].max() == pytest.approx(0.9)  # type: ignore[index, union-attr]
    assert points[:, 1].min() == pytest.approx(-0.7)  # type: ignore[index, union-attr]


# -- features ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "mel", [MelConfig(), MelConfig(n_mels=24), MelConfig(fmin=300, fmax=3400), MelConfig(n_mels=32, fmin=1100, fmax=1400)]
)
def test_a_tick_in_hertz_stands_at_the_row_that_answers_to_it(mel: MelConfig) -> None:
    rows = mel_rows(mel, RATE)
    assert rows.label == "hertz"
    assert len(rows.ticks) >= 2
    assert len({text for _, text in rows.ticks}) == len(rows.ticks)
    n_fft = 2**15  # narrow bins: the filters' peaks are not between two
    filters = mel_filters(RATE, n_fft, mel.n_mels, mel.fmin, mel.fmax or RATE / 2)
    peaks = filters / filters.max(axis=1, keepdims=True)
    for place, text in rows.ticks:
        row = (place - rows.low) / (rows.high - rows.low) * mel.n_mels - 0.5
        assert abs(row - peaks[:, round(float(text) * n_fft / RATE)].argmax()) < 0.6


def test_the_ticks_of_the_shipped_mel_axis_are_round_numbers_of_hertz() -> None:
    assert [text for _, text in mel_rows(MelConfig(), RATE).ticks] == ["4000", "2000", "1000", "500", "125"]


@pytest.mark.parametrize("seconds", [0.1, 0.5, 0.888])
def test_a_click_stands_at_its_second(seconds: float) -> None:
    samples = np.zeros(RATE, np.float32)
    samples[round(seconds * RATE)] = 1
    panel = mel_panel(samples)
    (image,) = features_figure("", [[panel]], 1.0).get_axes()[0].images
    left, right, _, _ = image.get_extent()
    loudest = panel.values.sum(axis=1).argmax()
    centre = left + (loudest + 0.5) * (right - left) / len(panel.values)
    assert centre == pytest.approx(seconds, abs=0.5 / panel.frame_rate + 1e-9)


def test_pitch_classes_are_named_from_c_to_b() -> None:
    assert " ".join(text for _, text in chroma_rows(12).ticks) == "C C♯ D D♯ E F F♯ G G♯ A A♯ B"
    assert [place for place, _ in chroma_rows(24).ticks] == list(range(0, 24, 2))
    assert chroma_rows(7).label == "pitch class, C = 0"
    assert mfcc_rows(40).label == "coefficient"


def test_every_axis_and_colour_bar_says_its_unit() -> None:
    figure = features_figure("", [[mel_panel(clip())], [mel_panel(clip())]], 1.5, view_of_model())
    assert colour_bars(figure) == ["dB", "dB"]
    assert [axes.get_ylabel() for axes in figure.get_axes() if axes.get_title(loc="left") == "log-mel"] == ["hertz", ""]
    assert "seconds" in figure.subfigs[0].get_supxlabel()
    assert named(figure, "weight of each expert (%)")
    assert named(figure, "probability of each class (%)")


def test_attention_stands_in_multiples_of_an_even_one_at_its_own_rate() -> None:
    figure = features_figure("", [[mel_panel(clip())]], 1.5, view_of_model())
    values, edges, _ = named(figure, "attention, ssl").patches[0].get_data()  # type: ignore[attr-defined]
    np.testing.assert_allclose(values, [1.5, 0.75, 0.75])
    np.testing.assert_allclose(edges, [0, 1 / 6, 2 / 6, 3 / 6])
    assert named(figure, "attention, mel").get_ylim() == named(figure, "attention, ssl").get_ylim()
    assert named(figure, "attention, mel").get_xlim() == named(figure, "log-mel").get_xlim()


@pytest.mark.parametrize("truth", ["sad", "calm"])
def test_the_truth_is_marked_in_words_too(truth: str) -> None:
    axes = named(features_figure("", [[mel_panel(clip())]], 1.5, view_of_model(truth=truth)), "probability")
    names = [label.get_text() for label in axes.get_yticklabels()]
    assert names == (["happy", "sad (truth)"] if truth == "sad" else ["happy", "sad"])
    assert [bar.get_width() for bar in axes.patches] == pytest.approx([70, 30])  # type: ignore[attr-defined]


def test_a_model_without_a_gate_shows_no_weights() -> None:
    figure = features_figure("", [[mel_panel(clip())]], 1.5, view_of_model(gates={}))
    assert not [axes for axes in figure.get_axes() if "expert" in axes.get_title(loc="left")]


def test_copies_share_time_and_colour_with_their_clip() -> None:
    samples = clip()
    longer, quiet = np.concatenate([samples, samples]), 0.1 * samples
    drawn = [
        Copy(name, sound, RATE, mel_panel(sound), done) for name, sound, done in (("a", samples, ""), ("b", longer, "x"), ("c", quiet, ""))
    ]
    figure = copies_figure("", drawn)
    images = [image for axes in figure.get_axes() for image in axes.images]
    assert len({image.get_clim() for image in images}) == 1
    assert {axes.get_xlim() for axes in figure.get_axes() if axes.images} == {(0.0, 3.0)}
    assert named(figure, "b").get_title(loc="left") == "b: 3.00 s, x"
    assert colour_bars(figure) == ["dB"]


# -- paper -------------------------------------------------------------------------------


@pytest.mark.parametrize("title", ["$x$ and $", "音\nx", "a\udcff\x00b", "%s {0} \\alpha"])
def test_any_title_can_be_drawn(tmp_path: Path, title: str) -> None:
    save_figure(tmp_path / "x.png", waveforms_figure(title, [views_of(clip())["raw"]]))
    assert (tmp_path / "x.png").read_bytes().startswith(PNG)


def test_a_file_says_neither_when_nor_by_what_it_was_made(tmp_path: Path) -> None:
    for name in "ab":
        save_figure(tmp_path / name, features_figure("x", [[mel_panel(clip())]], 1.5, view_of_model()))
    content = (tmp_path / "a").read_bytes()
    assert content == (tmp_path / "b").read_bytes()
    assert not [chunk for chunk in (b"tEXt", b"iTXt", b"zTXt", b"tIME", b"eXIf") if chunk in content]


@pytest.fixture
def pyplot(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    import matplotlib.pyplot as plt

    plt.switch_backend("agg")
    yield plt
    plt.close("all")


def test_without_a_display_no_window_is_opened(pyplot: Any) -> None:
    assert not open_windows([waveforms_figure("", list(views_of(clip()).values()))])
    assert pyplot.get_fignums() == []


def test_with_a_display_every_figure_gets_a_window(pyplot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[int] = []
    monkeypatch.setattr(pyplot, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(pyplot, "show", lambda: shown.extend(pyplot.get_fignums()))
    assert open_windows([waveforms_figure("", list(views_of(clip()).values())) for _ in range(2)])
    assert len(shown) == 2


def test_a_window_that_cannot_be_opened_is_no_display(pyplot: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(figure: Any) -> None:
        raise ImportError("Cannot load backend 'TkAgg' which requires the 'tk' interactive framework, as 'headless' is currently running")

    monkeypatch.setattr(pyplot, "get_backend", lambda: "TkAgg")
    monkeypatch.setattr(pyplot, "figure", refuse)
    assert not open_windows([waveforms_figure("", list(views_of(clip()).values()))])


# -- the command -------------------------------------------------------------------------


def ids_of(space: Workspace, split: str = "test") -> list[str]:
    return [row["id"] for row in rows_of(space.split / f"{split}.csv")]


def subject_of(space: Workspace, *changes: str) -> tuple[Subject, Split]:
    config = space.config(*changes)
    return find_subject(config, "test", 0, None), open_all(config)[0]


@pytest.fixture
def draw(ser: Ser, prepared: Workspace, tmp_path: Path) -> Any:
    """Call `ser visualize` on `prepared`, writing below tmp_path. Without --no-show, a machine with a display would wait for a click."""

    def call(*arguments: str | Path, space: Workspace = prepared) -> Any:
        folders = ("--set", f"project.reports_dir={tmp_path}/reports")
        return ser("visualize", "--config", space.config_file, *folders, "--save", "--no-show", *arguments)

    return call


KINDS = ["waveforms", "features_disk"]


@pytest.mark.parametrize(
    ("options", "split", "row", "kinds"),
    [
        ([], "test", 0, KINDS),
        (["--split", "val", "--row-idx", "3", "--show-prenorm", "--show-ssl-dims", "7"], "val", 3, KINDS),
        (["--preview-aug", "2", "--set", SPEED_ALONE, "--set", "augmentations.copies=0"], "test", 0, [*KINDS, "augmented"]),
    ],
)
def test_the_figures_are_files_named_by_split_and_id(
    draw: Any, prepared: Workspace, tmp_path: Path, options: list[str], split: str, row: int, kinds: list[str]
) -> None:
    answer = draw(*options)
    utterance_id = ids_of(prepared, split)[row]
    expected = [tmp_path / "reports/vis" / utterance_id / f"{split}_{utterance_id}_{kind}.png" for kind in kinds]
    assert (answer.code, answer.err) == (0, "")
    assert answer.out.split() == [str(path) for path in expected]
    assert sorted((tmp_path / "reports").rglob("*.*")) == sorted(expected)
    assert all(path.read_bytes().startswith(PNG) for path in expected)


def test_an_id_is_found_in_whatever_split_it_is(prepared: Workspace) -> None:
    subject = find_subject(prepared.config(), "test", 0, ids_of(prepared, "val")[2])
    assert (subject.split, subject.entry.id) == ("val", ids_of(prepared, "val")[2])


def test_what_a_run_heard_is_added(draw: Any, prepared: Workspace, finished: Run, tmp_path: Path) -> None:
    assert draw("--run", finished.folder).code == 0
    subject, _ = subject_of(prepared)
    heard = model_view(prepared.config(), subject, str(finished.folder))
    row = next(row for row in rows_of(finished.predictions) if row["split"] == "test" and row["id"] == subject.entry.id)
    assert heard.truth == row["truth"]
    for label, probability in heard.probabilities.items():
        assert probability == pytest.approx(float(row[f"p_{label}"]), abs=1e-5)
    assert all(weights.sum() == pytest.approx(1, abs=1e-5) for weights in heard.attention.values())


@pytest.mark.parametrize("home", ["train", "test", None])
def test_with_a_run_the_title_says_where_the_utterance_stands_for_that_run(
    draw: Any, prepared: Workspace, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, home: str | None
) -> None:
    """Not where it stands for the config: the run may have been trained on it."""
    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    certificate = read_certificate(run.split / CERTIFICATE_FILE)
    splits = certificate.splits
    parts = {
        "train": {**splits, "train": splits["test"], "test": splits["train"]},
        "test": splits,
        None: {**splits, "test": splits["val"]},
    }[home]
    write_certificate(run.split / CERTIFICATE_FILE, certificate.model_copy(update={"splits": parts}))
    titles: list[str] = []
    monkeypatch.setattr("ser.commands.visualize.save_figure", lambda _, figure: titles.append(figure.get_suptitle()))
    assert draw("--run", run.folder).code == 0
    expected = f"{home} split of the run" if home else "not in the run's split"
    assert [title.splitlines()[1].split(", ")[-1] for title in titles] == [expected] * 2


def test_a_run_without_its_split_is_one_line(draw: Any, finished: Run, tmp_path: Path) -> None:
    run = Run(shutil.copytree(finished.folder, tmp_path / "run"))
    (run.split / CERTIFICATE_FILE).unlink()
    answer = draw("--run", run.folder)
    assert (answer.code, len(answer.err.splitlines())) == (3, 1)
    assert "whether the run was trained on this utterance" in answer.err


def test_what_is_drawn_is_what_stands_in_the_store(prepared: Workspace) -> None:
    config = prepared.config()
    subject, split = subject_of(prepared)
    source = open_all(config)[1]
    group = source.groups["spectral"]
    stored = np.asarray(group.rows(subject.entry.id))
    normaliser = read_normalisers(config, source, split)["spectral"]
    normalised = (stored - normaliser.mean) / normaliser.deviation
    for flag, whole in ((True, normalised), (False, stored)):
        drawn = list(panels(config, subject, 64, flag))
        assert [panel.title.split(",")[0] for panel in drawn] == ["log-mel", "MFCC", "chroma"]
        np.testing.assert_allclose(np.concatenate([panel.values for panel in drawn], axis=1), whole, rtol=1e-5, atol=1e-6)
        assert {panel.limits for panel in drawn} == {DEVIATIONS if flag else None}
        figure = features_figure("", [drawn], 1.0)
        for panel, axes in zip(drawn, figure.get_axes(), strict=False):
            np.testing.assert_array_equal(np.asarray(axes.images[0].get_array()), panel.values.T)
        assert colour_bars(figure) == (["std. dev."] * 3 if flag else ["dB", "dB", "share of largest"])


def test_a_preview_is_what_the_transform_step_stores(workspace: Workspace) -> None:
    config = workspace.config(SPEED_ALONE, "augmentations.probability=1")
    workspace.run("transform,load", SPEED_ALONE, "augmentations.probability=1")
    subject = find_subject(config, "train", 0, None)
    itself, copy = copies(config, subject, 1)
    folder = augmented_folder(config)
    assert folder is not None
    np.testing.assert_allclose(copy.mel.values, FeatureStore.open(folder).read(f"{subject.entry.id}~1")["mel"], atol=1e-4)
    np.testing.assert_array_equal(itself.samples, subject.stages.prepared)
    assert copy.done.startswith("speed x ")
    assert "training uses the first 1" in copies_title(config, subject)


@pytest.mark.parametrize(("split", "remark"), [("test", "training alters only clips of train"), ("train", "augmentations.copies is 0")])
def test_a_preview_that_training_never_hears_says_so(prepared: Workspace, split: str, remark: str) -> None:
    config = prepared.config()
    assert remark in copies_title(config, find_subject(config, split, 0, None))


@pytest.fixture(scope="module")
def with_backbone(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    """28 clips of SAVEE after extract, transform and load, with a tiny backbone."""
    root = tmp_path_factory.mktemp("vis-ssl")
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform,load")
    return space


@pytest.mark.parametrize(("asked", "shown"), [(5, 5), (10 * DIM, DIM)])
def test_of_a_backbone_the_first_dimensions_of_its_last_state_are_shown(with_backbone: Workspace, asked: int, shown: int) -> None:
    config = with_backbone.config()
    subject = find_subject(config, "test", 0, None)
    *_, panel = panels(config, subject, asked, normalised=False)
    stored = subject.source.groups[SSL].rows(subject.entry.id)
    assert stored.shape[1] == (LAYERS + 1) * DIM
    np.testing.assert_array_equal(panel.values, np.asarray(stored, np.float32)[:, -DIM:][:, :shown])
    assert panel.title == f"SSL, hidden state {LAYERS}, as stored"
    assert (panel.first, panel.frame_rate, panel.rows.label) == (0.0, 25.0, f"dimension (of {DIM})")


def test_a_mixture_of_experts_shows_attention_of_each_and_the_gate(draw: Any, with_backbone: Workspace) -> None:
    run = with_backbone.train("moe", "train.epochs=1")
    assert draw("--run", run.folder, "--show-prenorm", space=with_backbone).code == 0
    config = with_backbone.config()
    heard = model_view(config, find_subject(config, "test", 0, None), str(run.folder))
    assert set(heard.attention) == set(heard.gates) == {"ssl", "mel", "mfcc", "chroma"}
    assert sum(heard.gates.values()) == pytest.approx(1, abs=1e-5)


# -- what it refuses ---------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "code", "message"),
    [
        (["--split", "tset"], 2, "--split tset: there is no such split: did you mean test?"),
        (["--row-idx", "99999"], 2, "rows, counted from 0"),
        (["--preview-aug", "21"], 2, "0 to 20"),
        (["--run", "nowhere"], 3, "nowhere is not the folder of a trained run"),
        (["--set", "features.mel.n_mels=30"], 3, "run the transform step"),
        (["--set", "split.name=other"], 3, "run the extract step"),
    ],
)
def test_what_cannot_be_shown_is_one_plain_line(draw: Any, tmp_path: Path, options: list[str], code: int, message: str) -> None:
    answer = draw(*options)
    assert answer.code == code
    assert message in answer.err
    assert len(answer.err.splitlines()) == 1
    assert not (tmp_path / "reports").exists()


def test_an_unknown_id_gets_the_nearest_one(draw: Any, prepared: Workspace) -> None:
    utterance_id = ids_of(prepared)[0]
    answer = draw("--id", utterance_id + "x")
    assert answer.code == 2
    assert answer.err.rstrip().endswith(f"nearest is {utterance_id}")


def test_nothing_to_do_is_refused(ser: Ser, prepared: Workspace) -> None:
    answer = ser("visualize", "--config", prepared.config_file, "--no-show")
    assert (answer.code, "--save" in answer.err) == (2, True)


def test_without_the_extra_it_says_what_to_install(draw: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ser.system.optional.find_spec", lambda name: None)
    answer = draw()
    assert (answer.code, install_hint("viz") in answer.err) == (2, True)


def test_before_load_it_asks_for_load(workspace: Workspace) -> None:
    workspace.normaliser.unlink()
    with pytest.raises(DataError, match="run the load step"):
        visualize(workspace.config(), save=True, show=False)


def test_a_flipped_bit_in_the_shard_of_the_clip_is_found(workspace: Workspace) -> None:
    subject, _ = subject_of(workspace)
    (store,) = subject.source.groups["spectral"].stores
    path = next(path for path in store.folder.glob("*.npy") if f'"{subject.entry.id}"' in path.with_suffix(".json").read_text())
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with pytest.raises(ArtefactError, match="--repair"):
        visualize(workspace.config(), save=True, show=False)


def test_a_run_that_hears_other_audio_is_refused(prepared: Workspace, finished: Run) -> None:
    config = prepared.config()
    other = config.model_copy(update={"audio": config.audio.model_copy(update={"trim_top_db": 40.0})})
    with pytest.raises(ConfigError, match=r"audio\.trim_top_db"):
        model_view(other, subject_of(prepared)[0], str(finished.folder))


def test_without_a_display_the_files_are_written_all_the_same(ser: Ser, prepared: Workspace, tmp_path: Path, pyplot: Any) -> None:
    common = ("visualize", "--config", prepared.config_file, "--set", f"project.reports_dir={tmp_path}")
    answer = ser(*common, "--save")
    assert (answer.code, answer.out.count(".png")) == (0, 2)
    assert "no display" not in answer.out + answer.err
    assert ser(*common).out == "there is no display to open a window on: --save writes the figures to files\n"


@given(st.lists(st.text(max_size=300), min_size=2, max_size=2, unique=True))
@settings(max_examples=100, deadline=None)
def test_whatever_an_id_is_called_its_files_stay_in_their_folder(ids: list[str]) -> None:
    names = [safe_name(utterance_id) for utterance_id in ids]
    assert names[0] != names[1]
    for name in names:
        assert Path("x", name).parts == ("x", name)
        assert name not in {".", ".."}
        assert len(f"train_{name}_features_disk.png.tmp") < 200


# -- the scripts -------------------------------------------------------------------------


def test_the_script_has_the_options_of_the_command() -> None:
    script = [sys.executable, str(SCRIPTS / "visualize_sample.py"), "--help"]
    text = subprocess.run(script, capture_output=True, text=True, check=True).stdout
    for option in ("--config", "--split", "--row-idx", "--id", "--show-ssl-dims", "--show-prenorm", "--preview-aug", "--run", "--save"):
        assert option in text
    assert "--no-show" in text


def test_the_figures_of_the_readme_are_made_by_one_command(
    prepared: Workspace, finished: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    utterance_id = next(utterance_id for utterance_id in ids_of(prepared) if utterance_id.startswith("crema"))
    options = {"--run": finished.folder, "--config": prepared.config_file, "--id": utterance_id, "--out": tmp_path / "img"}
    monkeypatch.setattr(sys, "argv", ["make_figures.py", *(str(part) for option in options.items() for part in option)])
    runpy.run_path(str(SCRIPTS / "make_figures.py"), run_name="__main__")
    made = {path.name: path.read_bytes() for path in (tmp_path / "img").iterdir()}
    assert set(made) == {"waveforms.png", "features_disk.png", "confusion.png", "reliability.png"}
    for content in made.values():
        assert content.startswith(PNG)
        assert str(tmp_path).encode() not in content
