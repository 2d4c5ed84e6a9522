"""A model rebuilt from its checkpoint says what it said in training, whoever else is heard with it."""

import shutil
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from backbones import save_backbone, tiny_backbone
from ser.audio.decode import read_audio
from ser.corpora.manifest import read_manifest
from ser.errors import ArtefactError, ConfigError, DataError
from ser.features.backbone_files import PINNED
from ser.features.base import ClipError
from ser.features.registry import get_family
from ser.features.store import FeatureStore
from ser.inference.clip_output import Clip
from ser.inference.recogniser import Recogniser
from ser.runs.checkpoint import load_checkpoint, save_checkpoint
from ser.runs.run import Run
from ser.training.trainer import header_differences
from trees import write_trees
from workspace import Workspace, make_workspace, rows_of

HUB_MODEL = "microsoft/wavlm-base"


@pytest.fixture(scope="module")
def mixture(tmp_path_factory: pytest.TempPathFactory) -> tuple[Workspace, Run]:
    """A mixture of experts with a tiny WavLM, trained on 28 clips of SAVEE; its store holds float16."""
    root = tmp_path_factory.mktemp("mixture")
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw", tiny_backbone("wavlm"))
    space.run("extract,transform,load")
    return space, space.train("mixture")


@cache
def recogniser_of(path: Path) -> Recogniser:
    return Recogniser.load(path)


def clips_of(run: Run, space: Workspace) -> list[Clip]:
    """The audio of predictions.csv, row by row."""
    manifest = read_manifest(space.processed / "manifest.csv")
    audio = [read_audio(space.raw / manifest[row["id"]].path) for row in rows_of(run.predictions)]
    return [(recording.samples, recording.sample_rate) for recording in audio]


def table_of(run: Run, classes: tuple[str, ...], kind: str = "p") -> np.ndarray[Any, Any]:
    return np.array([[float(row[f"{kind}_{name}"]) for name in classes] for row in rows_of(run.predictions)])


def changed(run: Run, path: Path, **content: Any) -> Path:
    """A copy of best.pth in which these parts of the header are others; None takes one away."""
    stored = load_checkpoint(run.best)
    save_checkpoint(path, {key: value for key, value in (stored | content).items() if value is not None})
    return path


def noise(seconds: float, rate: int = 16_000, channels: int | None = None, seed: int = 0) -> Clip:
    shape = round(seconds * rate) if channels is None else (round(seconds * rate), channels)
    return np.random.default_rng(seed).normal(0, 0.1, shape).astype(np.float32), rate


# as in training


def test_a_crnn_says_what_it_said_in_training(finished: Run, prepared: Workspace) -> None:
    recogniser = recogniser_of(finished.best)
    traces = recogniser.trace_clips(clips_of(finished, prepared))
    np.testing.assert_allclose([trace.output.probabilities for trace in traces], table_of(finished, recogniser.classes), rtol=0, atol=1e-6)
    assert {tuple(trace.output.gates) for trace in traces} == {()}


def test_a_mixture_of_experts_says_and_weighs_what_it_did_in_training(mixture: tuple[Workspace, Run]) -> None:
    space, run = mixture
    recogniser = recogniser_of(run.best)
    traces = recogniser.trace_clips(clips_of(run, space))
    np.testing.assert_allclose([trace.output.probabilities for trace in traces], table_of(run, recogniser.classes), rtol=0, atol=1e-5)
    gates = [[trace.output.gates[name] for name in recogniser.features] for trace in traces]
    np.testing.assert_allclose(gates, table_of(run, recogniser.features, "gate"), rtol=0, atol=1e-5)


def test_features_are_those_of_the_store(mixture: tuple[Workspace, Run]) -> None:
    space, run = mixture
    heard = recogniser_of(run.best).trace_clips(clips_of(run, space)[:3])
    for folder in (space.processed / "features").iterdir():
        store = FeatureStore.open(folder)
        for row, output in zip(rows_of(run.predictions), heard, strict=False):
            for name, rows in store.read(row["id"]).items():
                np.testing.assert_array_equal(output.features[name], rows.astype(np.float32))


def test_the_checkpoint_alone_suffices(finished: Run, prepared: Workspace, tmp_path: Path) -> None:
    shutil.copy(finished.best, tmp_path / "model.pth")
    recogniser = Recogniser.load(tmp_path / "model.pth")
    config = prepared.config()
    assert (recogniser.audio, recogniser.features) == (config.audio, config.model.features)
    assert recogniser.classes == config.labels.keep
    assert recogniser.corpora == ("crema", "ravdess", "savee", "tess")
    clip = clips_of(finished, prepared)[0]
    np.testing.assert_array_equal(recogniser.infer(*clip).probabilities, recogniser_of(finished.best).infer(*clip).probabilities)


# alone and in company


@given(seconds=st.lists(st.floats(0.1, 3), min_size=1, max_size=20), seed=st.integers(0, 99))
@settings(max_examples=10, deadline=None)
def test_company_and_order_change_nothing(finished: Run, seconds: list[float], seed: int) -> None:
    recogniser = recogniser_of(finished.best)
    clips = [noise(duration, seed=seed + index) for index, duration in enumerate(seconds)]
    together, backwards = recogniser.trace_clips(clips), recogniser.trace_clips(clips[::-1])[::-1]
    for clip, one, other in zip(clips, together, backwards, strict=True):
        alone = recogniser.trace(*clip)
        np.testing.assert_allclose(
            [one.output.probabilities, other.output.probabilities], [alone.output.probabilities] * 2, rtol=0, atol=1e-6
        )
        for name, frames in alone.normalised.items():
            np.testing.assert_array_equal(one.normalised[name], frames)
        for name, weights in alone.output.attention.items():
            np.testing.assert_allclose(one.output.attention[name], weights, rtol=0, atol=1e-6)


def test_company_changes_nothing_for_a_mixture_either(mixture: tuple[Workspace, Run]) -> None:
    space, run = mixture
    recogniser, clips = recogniser_of(run.best), [*clips_of(run, space)[:4], noise(0.1), noise(2.3)]
    for clip, output in zip(clips, recogniser.infer_clips(clips), strict=True):
        alone = recogniser.infer(*clip)
        np.testing.assert_allclose(output.probabilities, alone.probabilities, rtol=0, atol=1e-5)
        assert output.gates == pytest.approx(alone.gates, abs=1e-5)
        assert {name: len(weights) for name, weights in output.attention.items()} == {n: len(w) for n, w in alone.attention.items()}


def test_nothing_is_heard_of_no_clips(finished: Run) -> None:
    assert recogniser_of(finished.best).trace_clips([]) == []


# what is heard


@pytest.mark.parametrize("family", ["crnn", "mixture"])
def test_everything_heard_fits_together(family: str, finished: Run, mixture: tuple[Workspace, Run]) -> None:
    recogniser = recogniser_of((finished if family == "crnn" else mixture[1]).best)
    for heard in recogniser.trace_clips([noise(0.1), noise(1.37), noise(2, 44_100, channels=2), noise(7, 8_000)]):
        seconds = len(heard.stages.prepared) / recogniser.audio.sampling_rate
        assert tuple(heard.features) == tuple(heard.normalised) == tuple(heard.frame_rate) == recogniser.features
        for name, frames in heard.features.items():
            assert frames.shape == heard.normalised[name].shape
            assert len(frames) == pytest.approx(seconds * heard.frame_rate[name], abs=1.5)
        for name, weights in heard.output.attention.items():
            assert weights.sum() == pytest.approx(1, abs=1e-5)
            assert (weights > 0).all()
            assert len(weights) == pytest.approx(seconds * heard.output.attention_rate[name], abs=1.5)
        assert heard.output.probabilities.shape == (len(recogniser.classes),)
        assert heard.output.probabilities.sum() == pytest.approx(1)
        assert tuple(heard.output.gates) == (() if family == "crnn" else recogniser.features)


def test_normalised_is_what_the_normaliser_of_training_makes_of_the_features(finished: Run) -> None:
    stored = load_checkpoint(finished.best)["normalisers"]["spectral"]
    heard = recogniser_of(finished.best).trace(*noise(1.0))
    features, normalised = (np.concatenate(list(matrices.values()), axis=1) for matrices in (heard.features, heard.normalised))
    np.testing.assert_allclose(normalised * stored["deviation"].numpy() + stored["mean"].numpy(), features, atol=1e-3)


@pytest.mark.parametrize(
    "clip", [(np.zeros(16_000, np.float32), 16_000), (np.ones(1, np.float32), 16_000), (np.zeros((0, 2), np.float32), 48_000)]
)
def test_silence_and_a_single_sample_are_heard_too(finished: Run, clip: Clip) -> None:
    assert np.isfinite(recogniser_of(finished.best).infer(*clip).probabilities).all()


def test_samples_stay_as_they_are_and_may_be_of_double_precision(finished: Run) -> None:
    samples, rate = noise(0.5)
    before = samples.copy()
    single = recogniser_of(finished.best).infer(samples, rate)
    np.testing.assert_array_equal(samples, before)
    double = recogniser_of(finished.best).infer(samples.astype(np.float64), rate)
    np.testing.assert_array_equal(single.probabilities, double.probabilities)


# the backbone


def test_a_backbone_that_moved_is_found_again_when_one_says_where(mixture: tuple[Workspace, Run], tmp_path: Path) -> None:
    space, run = mixture
    stored = load_checkpoint(run.best)
    assert stored["backbone"] == str(tiny_backbone("wavlm"))
    moved = changed(run, tmp_path / "moved.pth", backbone=str(tmp_path / "gone"))
    with pytest.raises(ConfigError, match=r"wavlm, model.safetensors [0-9a-f]{12}, .*; .*gone is not a folder on this machine"):
        Recogniser.load(moved)
    unnamed = changed(run, tmp_path / "unnamed.pth", backbone=None)
    with pytest.raises(ConfigError, match="does not state its folder"):
        Recogniser.load(unnamed)
    clip = clips_of(run, space)[0]
    for path in (moved, unnamed):
        again = Recogniser.load(path, backbone=str(shutil.copytree(tiny_backbone("wavlm"), tmp_path / path.stem)))
        np.testing.assert_array_equal(again.infer(*clip).probabilities, recogniser_of(run.best).infer(*clip).probabilities)


@pytest.mark.parametrize("other", ["weights", "kind", "hub"])
def test_another_backbone_is_refused_and_both_are_named(
    mixture: tuple[Workspace, Run], hub_cache: Path, tmp_path: Path, other: str
) -> None:
    make: dict[str, Callable[[], str]] = {
        "weights": lambda: str(save_backbone(tmp_path / "other", "wavlm", seed=1)),
        "kind": lambda: str(tiny_backbone("hubert")),
        "hub": lambda: HUB_MODEL,
    }
    given = make[other]()
    with pytest.raises(ConfigError) as refusal:
        Recogniser.load(mixture[1].best, backbone=given)
    assert "trained with the backbone wavlm, " in str(refusal.value)
    assert given in str(refusal.value)


def test_a_model_of_the_hub_is_found_by_name_and_commit_alone(mixture: tuple[Workspace, Run], hub_cache: Path, tmp_path: Path) -> None:
    run = mixture[1]
    extractors = load_checkpoint(run.best)["extractors"]
    extractors["ssl"]["ingredients"]["backbone"] = {"kind": "wavlm", "model_id": HUB_MODEL, "revision": PINNED[HUB_MODEL]}
    path = changed(run, tmp_path / "hub.pth", extractors=extractors, backbone=None)
    with pytest.raises(DataError, match="hub cannot be reached"):
        Recogniser.load(path)
    with pytest.raises(ConfigError, match=f"{HUB_MODEL} at {PINNED[HUB_MODEL][:12]}; .* is wavlm, "):
        Recogniser.load(path, backbone=str(tiny_backbone("wavlm")))
    cached = hub_cache / f"models--{HUB_MODEL.replace('/', '--')}" / "snapshots" / PINNED[HUB_MODEL]
    shutil.copytree(tiny_backbone("wavlm"), cached)
    clip = noise(0.5)
    np.testing.assert_array_equal(Recogniser.load(path).infer(*clip).probabilities, recogniser_of(run.best).infer(*clip).probabilities)


def test_the_backbone_computes_in_the_precision_of_training_where_the_machine_can(
    mixture: tuple[Workspace, Run], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    run = mixture[1]
    extractors = load_checkpoint(run.best)["extractors"]
    extractors["ssl"]["ingredients"]["precision"] = "bf16"
    path = changed(run, tmp_path / "bf16.pth", extractors=extractors)
    caplog.set_level("INFO", logger="ser")
    for instructions in (True, False):
        caplog.clear()
        monkeypatch.setattr("torch.cpu._is_avx512_bf16_supported", lambda found=instructions: found)
        monkeypatch.setattr("torch.cpu._is_amx_tile_supported", lambda found=instructions: found)
        Recogniser.load(path, device="cpu")
        assert ("runs in fp32 but was trained with bf16" in caplog.text) == (not instructions)


def test_a_clip_that_the_backbone_cannot_hear_is_named_by_its_place(
    mixture: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch
) -> None:
    recogniser = recogniser_of(mixture[1].best)

    def refuse(index: int, _: float) -> None:
        raise ClipError("not finite", index)

    ear = next(ear for ear in recogniser.inputs if ear.store.name == "ssl")
    monkeypatch.setattr(ear.extractor, "refuse_unstorable", refuse)
    with pytest.raises(ClipError) as error:
        recogniser.trace_clips([noise(2.0), noise(1.0), noise(0.5)])
    assert error.value.index == 2, "the shortest is heard first"


def test_where_the_backbone_stood_does_not_keep_a_run_from_going_on() -> None:
    assert header_differences({"classes": ["sad"]}, {"classes": ["sad"], "backbone": "here"}) == []
    assert header_differences({"classes": ["sad"], "backbone": "there"}, {"classes": ["sad"], "backbone": "here"}) == []


# damage


@pytest.mark.parametrize("part", ["model", "audio", "extractors", "shapes", "classes", "corpora", "certificate", "normalisers", "weights"])
def test_a_checkpoint_that_lacks_a_part_is_refused_in_one_line(finished: Run, tmp_path: Path, part: str) -> None:
    path = changed(finished, tmp_path / "model.pth", **{part: None})
    with pytest.raises(ArtefactError) as error:
        Recogniser.load(path)
    assert str(path) in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("part", "value", "message"),
    [
        ("model", {"name": "a later one"}, "cannot be read by this version"),
        ("audio", {"sampling_rate": 16_000, "dither": 1}, "cannot be read by this version"),
        ("extractors", {"spectral": {"name": "spectral"}}, "cannot be read by this version"),
        ("normalisers", {}, "cannot be read by this version"),
        ("classes", ["neutral", "happy"], "does not match the network of this version"),
    ],
)
def test_what_this_version_does_not_know_is_said(finished: Run, tmp_path: Path, part: str, value: Any, message: str) -> None:
    with pytest.raises(ArtefactError, match=message):
        Recogniser.load(changed(finished, tmp_path / "model.pth", **{part: value}))


def nested(content: dict[str, Any], value: Any, *keys: Any) -> dict[str, Any]:
    """With one value deep inside replaced."""
    inner = content
    for key in keys[:-1]:
        inner = inner[key]
    inner[keys[-1]] = value
    return content


SPECTRAL = ("extractors", "spectral")


@pytest.mark.parametrize(
    ("keys", "value"),
    [
        ((*SPECTRAL, "ingredients"), None),
        ((*SPECTRAL, "ingredients"), [1]),
        ((*SPECTRAL, "ingredients", "features"), {"hop_length": "many"}),
        ((*SPECTRAL, "ingredients", "features", "mel", "n_mels"), 20),
        ((*SPECTRAL, "ingredients", "features", "hop_length"), 300),
        ((*SPECTRAL, "ingredients", "layers"), 3),
        ((*SPECTRAL, "dtype"), "nonsense"),
        ((*SPECTRAL, "dtype"), "int64"),
        ((*SPECTRAL, "frame_rate"), 0.0),
        ((*SPECTRAL, "dims"), [["mel", 5]]),
        (("shapes", "mel", "rows"), 5),
        (("shapes", "mel", "frame_rate"), "fast"),
        (("classes", 0), 7),
        (("normalisers", "spectral", "mean"), torch.zeros(3)),
        (("normalisers", "spectral", "deviation"), torch.ones(3)),
        (("normalisers", "spectral", "mean"), None),
        (("weights",), {0: torch.zeros(1)}),
        (("weights",), [1]),
        (("weights",), None),
    ],
)
def test_odd_content_with_a_good_digest_is_refused_in_one_line(finished: Run, tmp_path: Path, keys: tuple[Any, ...], value: Any) -> None:
    path = tmp_path / "model.pth"
    save_checkpoint(path, nested(load_checkpoint(finished.best), value, *keys))
    with pytest.raises(ArtefactError) as error:
        Recogniser.load(path)
    assert str(path) in str(error.value)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("part", ["mean", "deviation", "weights"])
def test_numbers_that_are_not_finite_are_refused(finished: Run, tmp_path: Path, part: str) -> None:
    content = load_checkpoint(finished.best)
    tensor = next(iter(content["weights"].values())) if part == "weights" else content["normalisers"]["spectral"][part]
    tensor.view(-1)[0] = torch.nan
    save_checkpoint(tmp_path / "model.pth", content)
    with pytest.raises(ArtefactError, match="finite"):
        Recogniser.load(tmp_path / "model.pth")


def test_a_normaliser_that_divides_by_nothing_is_refused(finished: Run, tmp_path: Path) -> None:
    content = load_checkpoint(finished.best)
    content["normalisers"]["spectral"]["deviation"][0] = 0
    save_checkpoint(tmp_path / "model.pth", content)
    with pytest.raises(ArtefactError, match="positive deviations"):
        Recogniser.load(tmp_path / "model.pth")


@pytest.mark.parametrize(
    ("key", "value"),
    [("backbone", None), ("backbone", {}), ("layers", [0, 99]), ("layers", "all"), ("time_pool", "x")],
)
def test_odd_content_about_a_backbone_is_one_line_too(mixture: tuple[Workspace, Run], tmp_path: Path, key: str, value: Any) -> None:
    path = tmp_path / "model.pth"
    save_checkpoint(path, nested(load_checkpoint(mixture[1].best), value, "extractors", "ssl", "ingredients", key))
    with pytest.raises((ArtefactError, ConfigError)) as error:
        Recogniser.load(path)
    assert len(str(error.value).splitlines()) == 1


@pytest.mark.parametrize("name", ["spectral", "ssl"])
def test_features_of_another_version_are_refused(mixture: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setattr(type(get_family(name)), "code_version", 99)
    with pytest.raises(ArtefactError, match="features of version 1; this program computes version 99"):
        Recogniser.load(mixture[1].best)


@pytest.mark.parametrize("damage", [lambda data: b"", lambda data: data[:-500], lambda data: b"RIFF" + data[4:]])
def test_a_damaged_checkpoint_is_one_line(finished: Run, tmp_path: Path, damage: Callable[[bytes], bytes]) -> None:
    path = tmp_path / "best.pth"
    path.write_bytes(damage(finished.best.read_bytes()))
    with pytest.raises(ArtefactError, match=r"best\.pth"):
        Recogniser.load(path)
    with pytest.raises(ArtefactError, match="does not exist"):
        Recogniser.load(tmp_path / "absent.pth")


def test_a_device_that_is_not_here_is_refused(finished: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.cuda.is_available", lambda: False)
    with pytest.raises(ConfigError, match="device cuda"):
        Recogniser.load(finished.best, device="cuda")
