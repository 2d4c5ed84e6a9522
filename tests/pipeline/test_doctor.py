"""The doctor looks at everything, changes nothing, and is content or names what is missing."""

import shutil
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from backbones import WEIGHTS, in_cache, tiny_backbone
from conftest import Ser
from ser.config import ExperimentConfig
from ser.errors import DataError
from ser.features.backbone_files import NO_WEIGHTS, PINNED
from ser.pipeline import doctor as step
from workspace import SPEED_ALONE, Workspace, printed_rows, rows_of

BASE_PLUS = "microsoft/wavlm-base-plus"


def findings(text: str) -> dict[str, tuple[str, str]]:
    """what -> (state, detail) of the printed table; of several with one name the last."""
    return {what: (state, detail) for what, state, detail in printed_rows(text)}


def files(folder: Path) -> dict[Path, int]:
    return {path: path.stat().st_mtime_ns for path in folder.rglob("*")}


def test_it_is_content_with_a_prepared_folder_and_changes_nothing(prepared: Workspace, ser: Ser) -> None:
    before = files(prepared.root)
    answer = ser("--config", prepared.config_file, "--steps", "doctor")
    assert answer.code == 0
    found = findings(answer.out)
    assert {state for state, _ in found.values()} <= {"ok", "note"}
    assert found["corpus savee"] == ("ok", "56 audio files; the whole corpus has 480")
    assert found["manifest"] == ("ok", "252 utterances")
    assert found["split"] == ("ok", "default: speaker-disjoint, certificate holds")
    assert found["device"][1].startswith("cpu")
    assert files(prepared.root) == before


def test_before_extract_it_says_what_comes_next(savee: Workspace, ser: Ser) -> None:
    answer = ser("--config", savee.config_file, "--steps", "doctor")
    assert answer.code == 0
    found = findings(answer.out)
    assert found["steps so far"][0] == "note"
    assert found["corpus tess"][0] == "note", "a corpus that is not there is left out"
    assert not savee.processed.exists()


def test_no_audio_at_all_is_missing(savee: Workspace, ser: Ser, tmp_path: Path) -> None:
    answer = ser("--config", savee.config_file, "--steps", "doctor", "--set", f"project.raw_dir={tmp_path / 'nowhere'}")
    assert answer.code == 3
    assert answer.err == "ser: missing: audio\n"


def test_a_broken_certificate_is_told(workspace: Workspace, ser: Ser) -> None:
    (workspace.split / "test.csv").write_bytes((workspace.split / "train.csv").read_bytes())
    state, detail = findings(ser("--config", workspace.config_file, "--steps", "doctor").out)["steps so far"]
    assert state == "note"
    assert "differs from its certificate" in detail


def missing(space: Workspace, *settings: str) -> str:
    with pytest.raises(DataError) as error:
        step.doctor(space.config(*settings))
    return str(error.value)


def test_a_device_that_the_config_wants_and_the_machine_lacks_is_missing(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("torch.backends.mps.is_available", lambda: False)
    assert missing(prepared, "train.device=mps") == "missing: device"


def test_an_extra_is_missing_only_where_the_config_asks_for_it(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(step, "is_installed", lambda *_: False)
    step.doctor(prepared.config())
    assert missing(prepared, "augmentations={copies: 1, pitch_semitones: [-1, 1]}") == "missing: extra augment"
    step.doctor(prepared.config(SPEED_ALONE))
    assert missing(prepared, "tracking.tensorboard=true") == "missing: extra track"


def with_backbone(folder: Path | str) -> list[str]:
    return ["features.types=[ssl, mel]", "model.features=[mel]", f"ssl.model_id={folder}", "ssl.layers=[0, 2]", "ssl.precision=fp32"]


def backbone_line(space: Workspace, ser: Ser, folder: Path | str) -> tuple[int, tuple[str, str] | None]:
    """The exit code, and what the table says of the backbone."""
    chosen = [part for text in with_backbone(folder) for part in ("--set", text)]
    answer = ser("--config", space.config_file, "--steps", "doctor", *chosen)
    return answer.code, findings(answer.out).get("backbone")


@pytest.mark.parametrize("kind", ["hubert", "whisper"])
def test_a_backbone_is_described(prepared: Workspace, ser: Ser, kind: str) -> None:
    folder = tiny_backbone(kind)
    code, found = backbone_line(prepared, ser, folder)
    assert (code, found) == (0, ("ok", f"{kind} at {folder}: 2 of 3 hidden states of 32 numbers, computed in fp32"))


def test_a_backbone_that_is_not_there_is_missing_and_the_disk_is_told_without_it(prepared: Workspace, ser: Ser, tmp_path: Path) -> None:
    code, found = backbone_line(prepared, ser, tmp_path / "nowhere")
    assert code == 3
    assert found is not None
    assert found[0] == "missing"
    assert "nowhere" in found[1]


def test_a_model_of_the_hub_is_described_without_its_weights(prepared: Workspace, ser: Ser, hub_cache: Path) -> None:
    snapshot = Path(shutil.copytree(tiny_backbone("wavlm"), in_cache(hub_cache, BASE_PLUS, PINNED[BASE_PLUS])))
    told = f"wavlm at {snapshot}: 2 of 3 hidden states of 32 numbers, computed in fp32"
    assert backbone_line(prepared, ser, BASE_PLUS) == (0, ("ok", told))
    (snapshot / WEIGHTS).unlink()
    assert backbone_line(prepared, ser, BASE_PLUS) == (
        0,
        ("note", f"{told}; {NO_WEIGHTS}"),
    )


def test_a_config_without_a_backbone_has_no_line_for_it(prepared: Workspace, ser: Ser) -> None:
    assert "backbone" not in findings(ser("--config", prepared.config_file, "--steps", "doctor").out)


def test_the_disk_takes_what_all_stores_take(prepared: Workspace) -> None:
    spectral = step.bytes_per_second(prepared.config("features={types: [mel], mel: {n_mels: 24}}", "model.features=[mel]"))
    assert spectral == 62.5 * 24 * 4
    both = prepared.config(*with_backbone(tiny_backbone("wavlm")), "ssl.time_pool=2", "ssl.dtype=float16")
    assert step.bytes_per_second(both) == spectral + 25 * 2 * 32 * 2


def test_copies_are_made_of_training_clips_alone(prepared: Workspace, savee: Workspace) -> None:
    sizes = {name: len(list(rows_of(prepared.split / f"{name}.csv"))) for name in ("train", "val", "test")}
    assert step.train_share(prepared.config()) == sizes["train"] / sum(sizes.values())
    assert step.train_share(savee.config()) == step.TRAIN_SHARE, "before extract"
    alone, both = (gigabytes(savee.config(*settings)) for settings in (SIZED, (*SIZED, "augmentations.copies=2")))
    assert both == pytest.approx(2.2 * alone, abs=0.1)


SIZED = ("features.dtype=float32", "features.mel.n_mels=512", "features.n_fft=4096", "features.hop_length=16")


def gigabytes(config: ExperimentConfig) -> float:
    """That the features of all four corpora take."""
    (_, _, detail) = next(iter(step.disk(config)))
    return float(detail.split("about ")[1].removesuffix(" GB"))


def test_a_package_that_is_not_installed_is_missing(prepared: Workspace, monkeypatch: pytest.MonkeyPatch) -> None:
    def without_soxr(name: str) -> str:
        if name == "soxr":
            raise PackageNotFoundError(name)
        return "1.0"

    monkeypatch.setattr(step, "version", without_soxr)
    assert missing(prepared) == "missing: soxr"


def test_a_full_disk_is_noted_and_one_that_cannot_be_written_is_missing(
    prepared: Workspace, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Usage:
        free = 1_000_000

    def usage(folder: Any) -> Usage:
        return Usage()

    monkeypatch.setattr("shutil.disk_usage", usage)
    step.doctor(prepared.config())
    state, detail = findings(capsys.readouterr().out)["disk"]
    assert state == "note"
    assert "0.0 GB free" in detail
    monkeypatch.setattr("os.access", lambda path, mode: False)
    assert missing(prepared) == "missing: disk"
