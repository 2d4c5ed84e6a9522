"""A third family of features is one file (`tests/toy_family.py`) and one line of the table: the whole program then runs with it."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from backbones import tiny_backbone
from conftest import Ser
from ser import Predictor
from ser.errors import ArtefactError, ConfigError
from ser.families import FAMILIES
from ser.features.registry import get_family
from ser.features.store import FeatureStore
from ser.pipeline.stores import store_folders
from ser.runs.run import Run
from toy_family import ENTRY, EnergyFamily
from trees import write_trees
from workspace import SPEED_ALONE, Workspace, make_workspace, metrics_of

pytestmark = pytest.mark.usefixtures("energy")

CRNN = ("features.types=[energy, mel]", "model.features=[energy, mel]", "train.epochs=1")
ALONE = ("features.types=[energy]", "model.features=[energy]", "train.epochs=1")
MOE = ("features.types=[mel, ssl, energy]", "model.features=[mel, ssl, energy]", "train.epochs=1")
STEPS = "extract,transform,load,train"


@pytest.fixture(scope="module")
def energy() -> Iterator[None]:
    """The one line."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(FAMILIES, "energy", ENTRY)
        yield


def small_workspace(root: Path, backbone: Path | None = None) -> Workspace:
    """28 clips of SAVEE."""
    write_trees(root / "raw", ["savee"], takes=1)
    space = make_workspace(root, root / "raw", backbone)
    if backbone is None:
        classes = "labels: {keep: [neutral, happy, sad, angry, fear, disgust, surprise]}\n"
        space.config_file.write_text(space.config_file.read_text() + classes)
    return space


@pytest.fixture(scope="module")
def crnn(tmp_path_factory: pytest.TempPathFactory, energy: None) -> tuple[Workspace, Run]:
    """After a whole run with altered copies."""
    space = small_workspace(tmp_path_factory.mktemp("crnn"))
    settings = (*CRNN, SPEED_ALONE)
    space.run(STEPS, *settings, run_name="energy")
    return space, Run(space.runs / "energy")


def test_every_step_runs_with_it_and_its_stores_hold_what_it_computes(crnn: tuple[Workspace, Run]) -> None:
    space, run = crnn
    config = space.config(*CRNN, SPEED_ALONE)
    assert config.model.features == ("mel", "energy"), "in the order of the table"
    folders = store_folders(config, config.model.features)
    assert list(folders) == ["spectral", "energy"]
    assert [folder.name.rsplit("-", 1)[0] for folder in folders["energy"]] == ["energy", "energy-augmented"]
    originals = FeatureStore.open(folders["energy"][0])
    assert (len(originals), originals.dims, originals.frame_rate) == (28, {"energy": 2}, 62.5)
    assert all(np.square(originals.rows(utterance)).sum() > 0 for utterance in originals)
    assert run.metrics.is_file()


def test_a_run_with_it_predicts_what_it_measured(crnn: tuple[Workspace, Run]) -> None:
    space, run = crnn
    prediction = Predictor.load(run.folder).predict(next((space.root / "raw").rglob("*.wav")))
    assert sum(prediction.probabilities.values()) == pytest.approx(1)


def test_another_version_of_its_code_is_refused(crnn: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(EnergyFamily, "code_version", 2)
    with pytest.raises(ArtefactError, match="trained on energy features of version 1; this program computes version 2"):
        Predictor.load(crnn[1].folder)


def test_a_model_of_it_alone_can_be_trained(tmp_path: Path) -> None:
    space = small_workspace(tmp_path)
    space.run(STEPS, *ALONE, run_name="alone")
    assert Run(space.runs / "alone").metrics.is_file()


def test_a_mixture_takes_it_beside_a_backbone(tmp_path: Path) -> None:
    space = small_workspace(tmp_path, tiny_backbone("wavlm"))
    space.run(STEPS, *MOE, run_name="mixture")
    assert list(metrics_of(Run(space.runs / "mixture"))["gates"]["mean"]) == ["ssl", "mel", "energy"]


def test_the_plan_the_doctor_the_report_and_the_figures_show_it(crnn: tuple[Workspace, Run], ser: Ser, tmp_path: Path) -> None:
    space, run = crnn
    chosen = (*CRNN, SPEED_ALONE, f"project.reports_dir={tmp_path}")
    settings = [part for setting in chosen for part in ("--set", setting)]
    plan = ser("--config", space.config_file, *settings, "--dry-run")
    assert plan.code == 0, plan.err
    assert f"{space.processed / 'features/energy-'}" in plan.out
    doctor = ser("--config", space.config_file, *settings, "--steps", "doctor")
    assert doctor.code == 0, doctor.err
    for command in (("report", run.folder), ("visualize", "--config", space.config_file, *settings, "--no-show", "--save")):
        answer = ser(*command)
        assert answer.code == 0, answer.err
    assert list(tmp_path.rglob("*features_disk.png"))


def test_an_export_says_that_nobody_wrote_its_nodes(crnn: tuple[Workspace, Run], ser: Ser) -> None:
    answer = ser("export", crnn[1].folder)
    assert answer.code == 2
    assert "no nodes are implemented for energy" in answer.err


def test_a_checkpoint_of_a_family_that_is_gone_is_refused(crnn: tuple[Workspace, Run], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delitem(FAMILIES, "energy")
    with pytest.raises(ArtefactError, match="energy"):
        Predictor.load(crnn[1].folder)
    with pytest.raises(ConfigError, match="input should be 'ssl', 'mel', 'mfcc' or 'chroma'; got 'energy'"):
        crnn[0].config(*CRNN)


def test_a_family_is_what_its_line_says() -> None:
    for name in FAMILIES:
        assert get_family(name).name == name
