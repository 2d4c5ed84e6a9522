"""Where a backbone is looked for, what is told of it, and that whatever is wrong with it is one line that says what to do."""

import json
import shutil
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import huggingface_hub
import pytest

from backbones import DIM, KINDS, LAYERS, WEIGHTS, WHISPER_FRAMES, in_cache, save_backbone, tiny_backbone
from ser.config import SslConfig
from ser.errors import ConfigError, DataError
from ser.features import backbone_files
from ser.features.backbone_files import CONFIG, PINNED, PREPROCESSOR, fetch_weights, find_backbone, has_weights, hidden_states

COMMIT = "0123456789abcdef0123456789abcdef01234567"
BASE_PLUS = "microsoft/wavlm-base-plus"


def local(folder: Path, **settings: Any) -> SslConfig:
    return SslConfig.model_validate({"model_id": str(folder), **settings})


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A backbone to be spoiled."""
    return Path(shutil.copytree(tiny_backbone("wavlm"), tmp_path / "wavlm"))


def edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize("kind", KINDS)
def test_a_folder_tells_all_that_is_asked_about_it(kind: str) -> None:
    backbone = find_backbone(local(tiny_backbone(kind)))
    assert (backbone.kind, backbone.num_states, backbone.dim) == (kind, LAYERS + 1, DIM)
    assert (backbone.sample_rate, backbone.frame_samples, backbone.frame_rate) == (16_000, 320, 50.0)
    assert backbone.min_samples == (320 if kind == "whisper" else 400)
    assert backbone.max_samples == (WHISPER_FRAMES * 320 if kind == "whisper" else None)


def test_the_frame_rate_is_that_of_the_convolutions(tmp_path: Path) -> None:
    save_backbone(tmp_path, "hubert", conv_dim=(8, 8), conv_kernel=(10, 3), conv_stride=(5, 2))
    backbone = find_backbone(local(tmp_path))
    assert (backbone.frame_samples, backbone.frame_rate, backbone.min_samples) == (10, 1600.0, 20)


def test_a_folder_is_known_by_its_content_wherever_it_stands(folder: Path, tmp_path: Path) -> None:
    before = find_backbone(local(folder)).identity
    assert set(before["sha256"]) == {WEIGHTS, CONFIG, PREPROCESSOR}
    assert find_backbone(local(tiny_backbone("wavlm"))).identity == before
    assert find_backbone(local(folder.rename(tmp_path / "elsewhere"))).identity == before


@pytest.mark.parametrize("name", [WEIGHTS, CONFIG, PREPROCESSOR])
def test_a_change_of_any_file_makes_another_backbone(folder: Path, name: str) -> None:
    before = find_backbone(local(folder)).identity
    if name == WEIGHTS:
        save_backbone(folder, "wavlm", seed=1)
    else:
        edit(folder / name, noted=True)
    after = find_backbone(local(folder)).identity
    assert {key for key in after["sha256"] if after["sha256"][key] != before["sha256"][key]} == {name}


def test_other_files_of_the_folder_do_not_matter(folder: Path) -> None:
    before = find_backbone(local(folder)).identity
    (folder / "README.md").write_text("of the authors")
    (folder / "pytorch_model.bin").write_bytes(b"the same weights, in the format that is not read")
    assert find_backbone(local(folder)).identity == before


def test_the_checksums_are_computed_once_in_a_process(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    find_backbone(local(folder))
    monkeypatch.setattr(backbone_files, "sha256_file", pytest.fail)
    find_backbone(local(folder))


def absent(name: str) -> Callable[[Path], None]:
    return lambda folder: (folder / name).unlink()


def written(name: str, text: str) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        (folder / name).write_text(text)

    return spoil


def without(key: str, name: str = CONFIG) -> Callable[[Path], None]:
    def spoil(folder: Path) -> None:
        settings = json.loads((folder / name).read_text())
        del settings[key]
        (folder / name).write_text(json.dumps(settings))

    return spoil


def with_value(name: str = CONFIG, **changes: Any) -> Callable[[Path], None]:
    return lambda folder: edit(folder / name, **changes)


SPOILT: dict[str, tuple[Callable[[Path], None], str]] = {
    "no config": (absent(CONFIG), "is not a backbone: config.json: No such file"),
    "no preprocessor": (absent(PREPROCESSOR), "is not a backbone: preprocessor_config.json: No such file"),
    "no weights": (absent(WEIGHTS), "lacks weights"),
    "config is no JSON": (written(CONFIG, "{"), "config.json is corrupted"),
    "config is nested without end": (written(CONFIG, "[" * 200_000), "config.json is corrupted"),
    "config is no object": (written(CONFIG, "[]"), "config.json is corrupted"),
    "preprocessor is no JSON": (written(PREPROCESSOR, "\0"), "preprocessor_config.json is corrupted"),
    "another model": (with_value(model_type="bert"), "has a model of type bert; a backbone is one of wavlm, hubert"),
    "no type": (without("model_type"), "has a model of type None"),
    "no width": (without("hidden_size"), "is incomplete.*hidden_size"),
    "no sample rate": (without("sampling_rate", PREPROCESSOR), "is incomplete.*sampling_rate"),
    "layers are text": (with_value(num_hidden_layers="2"), "is incomplete.*'2' is not a whole number"),
    "a stride of 0": (with_value(conv_stride=[0] * 7), "is incomplete.*0 is not a whole number"),
    "convolutions of two lengths": (with_value(conv_stride=[5, 2]), "is incomplete"),
    "a stride without convolutions": (with_value(conv_kernel=3), "is incomplete"),
}


@pytest.mark.parametrize("case", SPOILT)
def test_a_folder_that_is_no_backbone_is_one_line(folder: Path, case: str) -> None:
    spoil, message = SPOILT[case]
    spoil(folder)
    with pytest.raises(DataError, match=message) as caught:
        find_backbone(local(folder))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("model_id", ["/nowhere/wavlm", "../wavlm", "./wavlm", "models/wavlm/base", "wavlm", "a/b c", "~/wavlm/"])
def test_a_folder_that_does_not_exist_is_no_question_to_the_hub(hub_cache: Path, model_id: str) -> None:
    with pytest.raises(DataError, match="there is no such folder"):
        find_backbone(SslConfig(model_id=model_id))


def test_an_unknown_hub_model_needs_a_revision(hub_cache: Path) -> None:
    with pytest.raises(ConfigError, match=r"give the commit as ssl\.revision"):
        find_backbone(SslConfig(model_id="somebody/some-wavlm"))


def test_without_network_and_weights_one_line_says_what_to_do(hub_cache: Path) -> None:
    with pytest.raises(DataError, match=r"run it once with a network, or point ssl\.model_id at a local folder") as caught:
        find_backbone(SslConfig())
    assert "\n" not in str(caught.value)
    assert not hub_cache.exists()


@pytest.mark.parametrize(
    ("model_id", "asked", "commit"), [(BASE_PLUS, None, PINNED[BASE_PLUS]), (BASE_PLUS, COMMIT, COMMIT), ("a/b", COMMIT, COMMIT)]
)
def test_a_model_in_the_cache_needs_no_network(hub_cache: Path, model_id: str, asked: str | None, commit: str) -> None:
    shutil.copytree(tiny_backbone("wavlm"), in_cache(hub_cache, model_id, commit))
    backbone = find_backbone(SslConfig(model_id=model_id, revision=asked))
    assert backbone.identity == {"model_id": model_id, "revision": commit}
    assert Path(backbone.location) == in_cache(hub_cache, model_id, commit)


@pytest.mark.parametrize("name", [CONFIG, PREPROCESSOR])
def test_half_the_settings_are_no_model(hub_cache: Path, name: str) -> None:
    snapshot = in_cache(hub_cache, "a/b", COMMIT)
    shutil.copytree(tiny_backbone("wavlm"), snapshot)
    (snapshot / name).unlink()
    with pytest.raises(DataError, match="the hub cannot be reached"):
        find_backbone(SslConfig(model_id="a/b", revision=COMMIT))


def test_settings_in_the_cache_describe_a_model_whose_weights_are_not_there(hub_cache: Path) -> None:
    snapshot = Path(shutil.copytree(tiny_backbone("wavlm"), in_cache(hub_cache, "a/b", COMMIT)))
    config = SslConfig(model_id="a/b", revision=COMMIT)
    whole = find_backbone(config)
    assert has_weights(whole)
    fetch_weights(whole)
    (snapshot / WEIGHTS).unlink()
    assert find_backbone(config) == whole
    assert not has_weights(whole)
    with pytest.raises(DataError, match=r"the hub cannot be reached; run it once with a network, or point ssl\.model_id at a local folder"):
        fetch_weights(whole)


def test_a_local_folder_has_its_weights() -> None:
    backbone = find_backbone(local(tiny_backbone("wavlm")))
    assert has_weights(backbone)
    fetch_weights(backbone)


SAFETENSORS, BIN = "model.safetensors.index.json", "pytorch_model.bin.index.json"
PARTS = {SAFETENSORS: "model-0000{}-of-00003.safetensors", BIN: "pytorch_model-0000{}-of-00003.bin"}


def in_parts(folder: Path, index: str, there: Sequence[int]) -> None:
    """Weights in three parts, of which some are there."""
    (folder / WEIGHTS).unlink()
    part = PARTS[index].format
    (folder / index).write_text(json.dumps({"metadata": {}, "weight_map": {f"layer{i}": part(min(i, 3)) for i in range(1, 6)}}))
    for number in there:
        (folder / part(number)).write_bytes(b"weights")


@pytest.mark.parametrize("index", PARTS)
@pytest.mark.parametrize("there", [(), (1,), (1, 3), (1, 2, 3)], ids=str)
def test_weights_in_parts_are_there_when_all_that_the_index_names_are(hub_cache: Path, index: str, there: tuple[int, ...]) -> None:
    in_parts(Path(shutil.copytree(tiny_backbone("wavlm"), in_cache(hub_cache, "a/b", COMMIT))), index, there)
    backbone = find_backbone(SslConfig(model_id="a/b", revision=COMMIT))
    assert has_weights(backbone) == (len(there) == 3)
    if len(there) < 3:
        with pytest.raises(DataError, match="the hub cannot be reached"):
            fetch_weights(backbone)


@pytest.mark.parametrize(
    ("there", "absent"), [((), "model-00001-of-00003.safetensors and 2 more"), ((1, 3), r"model-00002-of-00003.safetensors\)")]
)
def test_a_local_folder_that_lacks_parts_is_told(folder: Path, there: tuple[int, ...], absent: str) -> None:
    in_parts(folder, SAFETENSORS, there)
    with pytest.raises(DataError, match=rf"lacks weights \({absent}"):
        find_backbone(local(folder))


def test_a_local_folder_in_parts_is_known_by_all_of_them(folder: Path) -> None:
    in_parts(folder, SAFETENSORS, (1, 2, 3))
    names = {SAFETENSORS, *(PARTS[SAFETENSORS].format(number) for number in (1, 2, 3))}
    assert set(find_backbone(local(folder)).identity["sha256"]) == {CONFIG, PREPROCESSOR, *names}


@pytest.mark.parametrize("text", ["{", "[]", "{}", '{"weight_map": {}}', '{"weight_map": [1]}'])
def test_a_damaged_index_is_told(folder: Path, text: str) -> None:
    in_parts(folder, SAFETENSORS, (1, 2, 3))
    (folder / SAFETENSORS).write_text(text)
    with pytest.raises(DataError, match=r"model\.safetensors\.index\.json is corrupted"):
        find_backbone(local(folder))


class Hub:
    """Stands for the network: holds one model, whose weights have one format, and notes what is asked."""

    def __init__(self, cache: Path, weights: str) -> None:
        self.cache, self.weights = cache, weights
        self.asked: list[str] = []

    def snapshot_download(self, model_id: str, *, revision: str, allow_patterns: list[str]) -> str:
        snapshot = in_cache(self.cache, model_id, revision)
        for name in (CONFIG, PREPROCESSOR, self.weights):
            if name in allow_patterns:
                snapshot.mkdir(parents=True, exist_ok=True)
                shutil.copy(tiny_backbone("wavlm") / name.replace("pytorch_model.bin", WEIGHTS), snapshot / name)
                self.asked.append(name)
        return str(snapshot)


@pytest.mark.parametrize("weights", [WEIGHTS, "pytorch_model.bin"])
def test_a_look_fetches_the_settings_alone_and_the_weights_come_once(
    hub_cache: Path, monkeypatch: pytest.MonkeyPatch, weights: str
) -> None:
    hub = Hub(hub_cache, weights)
    monkeypatch.setattr(backbone_files, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", hub.snapshot_download)
    config = SslConfig(model_id="a/b", revision=COMMIT)
    backbone = find_backbone(config)
    assert backbone == find_backbone(config)
    assert backbone.identity == {"model_id": "a/b", "revision": COMMIT}
    assert hub.asked == [CONFIG, PREPROCESSOR]
    fetch_weights(backbone)
    fetch_weights(backbone)
    assert hub.asked.count(weights) == 1
    assert has_weights(find_backbone(config))


def test_a_model_of_the_hub_without_weights_is_one_line(hub_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(backbone_files, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", Hub(hub_cache, "weights.gguf").snapshot_download)
    with pytest.raises(DataError, match="the hub has no weights"):
        fetch_weights(find_backbone(SslConfig(model_id="a/b", revision=COMMIT)))


@pytest.mark.parametrize("error", [OSError("disk full\nand more"), RuntimeError("404 Client Error"), KeyError()])
def test_a_failed_download_is_one_line(hub_cache: Path, monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def fail(*_: object, **__: object) -> None:
        raise error

    monkeypatch.setattr(backbone_files, "hub_answers", lambda: True)
    monkeypatch.setattr(huggingface_hub, "snapshot_download", fail)
    with pytest.raises(DataError, match="the download failed") as caught:
        find_backbone(SslConfig())
    assert "\n" not in str(caught.value)


def test_the_hub_is_asked_once_and_its_silence_is_no_error(monkeypatch: pytest.MonkeyPatch) -> None:
    class Session:
        def head(self, url: str, timeout: float) -> None:
            raise OSError("no network")

    monkeypatch.setattr(huggingface_hub, "get_session", Session)
    assert not backbone_files.hub_answers()


@pytest.mark.parametrize(("layers", "expected"), [("all", (0, 1, 2)), (0, (0,)), (2, (2,)), ([2, 0], (0, 2)), ([1], (1,))])
def test_the_hidden_states_that_were_asked_for(layers: Any, expected: tuple[int, ...]) -> None:
    config = local(tiny_backbone("wavlm"), layers=layers)
    assert hidden_states(config, find_backbone(config)) == expected


@pytest.mark.parametrize("layers", [3, [0, 3]])
def test_a_hidden_state_that_does_not_exist_is_an_error_that_says_how_many_there_are(layers: Any) -> None:
    config = local(tiny_backbone("wavlm"), layers=layers)
    with pytest.raises(ConfigError, match=r"includes hidden state 3; .* has 3: 0 to 2"):
        hidden_states(config, find_backbone(config))


def test_the_default_is_pinned() -> None:
    assert SslConfig().model_id in PINNED
    assert all(len(commit) == 40 and set(commit) <= set("0123456789abcdef") for commit in PINNED.values())


def test_the_folder_of_a_model_in_the_cache_stands_for_its_one_snapshot(tmp_path: Path, folder: Path) -> None:
    snapshot = in_cache(tmp_path, "openai/whisper-tiny", "a" * 40)
    shutil.copytree(folder, snapshot)
    whole = find_backbone(SslConfig(model_id=str(snapshot.parents[1])))
    assert whole.location == str(snapshot)
    assert whole.identity == find_backbone(SslConfig(model_id=str(folder))).identity


def test_of_several_snapshots_one_is_to_be_named(tmp_path: Path, folder: Path) -> None:
    for commit in ("a" * 40, "b" * 40):
        shutil.copytree(folder, in_cache(tmp_path, "openai/whisper-tiny", commit))
    with pytest.raises(ConfigError, match=r"holds 2 snapshots: give one of them, such as .*/snapshots/a{40}$"):
        find_backbone(SslConfig(model_id=str(tmp_path / "models--openai--whisper-tiny")))
