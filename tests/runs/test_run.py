"""Run folders: never shared, found again by name or by config."""

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from importlib.metadata import PackageNotFoundError
from pathlib import Path
from typing import Any

import pytest

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, ConfigError, DataError
from ser.runs import create
from ser.runs.compare import contrast, differences
from ser.runs.create import create_run
from ser.runs.find import find_run
from ser.runs.history import HISTORY_COLUMNS, write_history
from ser.runs.run import Run
from ser.system.files import read_json, write_json
from ser.system.tables import read_table


@pytest.fixture
def config(tmp_path: Path) -> ExperimentConfig:
    return ExperimentConfig.model_validate({"project": {"runs_dir": str(tmp_path / "runs")}})


def changed(config: ExperimentConfig, **settings: Any) -> ExperimentConfig:
    """`train__epochs=3` sets train.epochs."""
    values = config.model_dump()
    for key, value in settings.items():
        section, name = key.split("__")
        values[section][name] = value
    return ExperimentConfig.model_validate(values)


class StoppedClock(datetime):
    @classmethod
    def now(cls, tz: Any = None) -> "StoppedClock":
        return cls(2026, 7, 30, 12, 0, 0)


def test_runs_of_the_same_second_get_folders_of_their_own(config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(create, "datetime", StoppedClock)
    with ThreadPoolExecutor(10) as pool:
        made = list(pool.map(lambda _: create_run(config, None), range(10)))
    names = {run.folder.name for run in made}
    assert names == {"20260730-120000_spectral_crnn", *(f"20260730-120000_spectral_crnn-{number}" for number in range(2, 11))}
    assert all(run.config.is_file() for run in made)


def test_a_run_is_called_after_time_and_model(config: ExperimentConfig) -> None:
    before = datetime.now().replace(microsecond=0)
    stamp, model = create_run(config, None).folder.name.split("_", 1)
    assert before <= datetime.strptime(stamp, "%Y%m%d-%H%M%S") <= datetime.now()
    assert model == "spectral_crnn"


def test_a_name_is_taken_once(config: ExperimentConfig) -> None:
    assert create_run(config, "mine").folder.name == "mine"
    with pytest.raises(ConfigError, match="mine exists: choose another --run-name, or --resume it"):
        create_run(config, "mine")


def test_cfg_json_holds_the_whole_config_and_what_it_ran_on(config: ExperimentConfig) -> None:
    content = read_json(create_run(config, "mine").config)
    assert ExperimentConfig.model_validate(content["config"]) == config
    assert {"python", "system", "ser", "torch", "numpy", "soxr"} <= content["environment"].keys()


@pytest.mark.parametrize("installed", [("audiomentations",), ()])
def test_cfg_json_names_the_packages_of_extras_that_are_installed(
    config: ExperimentConfig, monkeypatch: pytest.MonkeyPatch, installed: tuple[str, ...]
) -> None:
    def version(name: str) -> str:
        if name in create.OPTIONAL_PACKAGES and name not in installed:
            raise PackageNotFoundError(name)
        return "1.2.3"

    monkeypatch.setattr(create, "version", version)
    environment = read_json(create_run(config, "mine").config)["environment"]
    assert environment.keys() - {"python", "system", "ser", *create.PACKAGES} == set(installed)


def test_a_run_is_found_by_its_name(config: ExperimentConfig) -> None:
    run = create_run(config, "mine")
    create_run(config, "other")
    assert find_run(config, "mine") == run


@pytest.mark.parametrize("name", ["nobody", None])
def test_a_run_that_does_not_exist_is_no_run(config: ExperimentConfig, name: str | None) -> None:
    with pytest.raises(DataError, match="nothing to resume"):
        find_run(config, name)


def test_the_latest_run_of_the_same_config_is_found(config: ExperimentConfig) -> None:
    for age, name, settings in ((30, "z", {}), (20, "a", {}), (10, "b", {"train__epochs": 3})):
        path = create_run(changed(config, **settings), name).config
        os.utime(path, (1e9 - age, 1e9 - age))
    assert find_run(config, None).folder.name == "a"
    assert find_run(changed(config, train__epochs=3), None).folder.name == "b"
    with pytest.raises(ConfigError, match="has this config"):
        find_run(changed(config, train__epochs=4), None)


def test_a_run_of_another_config_is_refused_with_the_keys_that_differ(config: ExperimentConfig) -> None:
    create_run(config, "mine")
    other = changed(config, train__epochs=3, audio__duration=None, model__features=("mel",))
    with pytest.raises(ConfigError) as refused:
        find_run(other, "mine")
    assert str(refused.value).endswith(
        "these differ: audio.duration (5.0 in the run, null now), "
        'model.features (["mel", "mfcc", "chroma"] in the run, ["mel"] now), train.epochs (30 in the run, 3 now)'
    )


def test_a_long_value_is_cut_in_the_message() -> None:
    assert contrast("split.test_ids", [], ["x" * 99] * 99) == f'split.test_ids ([] in the run, ["{"x" * 99}", "{"x" * 95} now)'


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ({}, []),
        ({"runtime__threads": 7, "runtime__workers": 3}, []),
        ({"project__raw_dir": "elsewhere", "project__reports_dir": "there"}, []),
        ({"project__seed": 43}, ["project.seed"]),
        ({"train__learning_rate": 2e-3}, ["train.learning_rate"]),
        ({"labels__merge": {"calm": "neutral"}}, ["labels.merge.calm"]),
    ],
)
def test_only_what_changes_the_result_counts_as_a_difference(
    config: ExperimentConfig, settings: dict[str, Any], expected: Sequence[str]
) -> None:
    found = differences(changed(config, **settings), create_run(config, "mine"))
    assert [difference.split(" (")[0] for difference in found] == expected


def without(values: dict[str, Any], key: str) -> dict[str, Any]:
    """A config as it was written before `section.key` existed."""
    section, _, name = key.partition(".")
    inner = {key: value for key, value in values[section].items() if key != name}
    return {**values, section: inner} if name else {key: value for key, value in values.items() if key != section}


@pytest.mark.parametrize("key", ["ssl", "model.ssl_spectral_moe", "train.sampler_balance"])
def test_a_run_from_before_a_key_existed_has_its_default(config: ExperimentConfig, key: str) -> None:
    run = create_run(config, "old")
    content = read_json(run.config)
    write_json(run.config, {**content, "config": without(content["config"], key)})
    assert differences(config, run) == []
    assert find_run(config, None) == find_run(config, "old") == run
    assert differences(changed(config, ssl__time_pool=5, train__sampler_balance=0.25), run) == [
        "ssl.time_pool (2 in the run, 5 now)",
        "train.sampler_balance (1.0 in the run, 0.25 now)",
    ]


@pytest.mark.parametrize(
    ("stored", "said"),
    [
        ({"train": {"momentum": 0.9}}, r"train\.momentum: Extra inputs are not permitted"),
        ({"train": {"epochs": 0}}, r"train\.epochs: Input should be greater than or equal to 1"),
        ({"model": {"name": "tree"}}, r"model\.name: Input should be 'spectral_crnn' or 'ssl_spectral_moe'"),
        ({"split": []}, r"split: Input should be a valid dictionary"),
    ],
)
def test_a_run_of_a_config_that_this_version_does_not_know_is_named_in_one_line(
    config: ExperimentConfig, stored: dict[str, Any], said: str, caplog: pytest.LogCaptureFixture
) -> None:
    run = create_run(config, "other")
    write_json(run.config, {"config": stored})
    with pytest.raises(ArtefactError, match=said) as refused:
        find_run(config, "other")
    assert "\n" not in str(refused.value)
    with pytest.raises(ConfigError, match="has this config"):
        find_run(config, None)
    assert str(refused.value) in caplog.text


def test_a_damaged_config_is_an_error(config: ExperimentConfig) -> None:
    create_run(config, "mine").config.write_text('{"config": ')
    with pytest.raises(ArtefactError, match=r"cfg\.json is corrupted"):
        find_run(config, "mine")


def test_history_has_the_columns_of_the_contract(tmp_path: Path) -> None:
    row = dict.fromkeys(HISTORY_COLUMNS) | {"epoch": 1, "train_loss": 0.5, "seconds": 2.25}
    run = Run(tmp_path)
    write_history(run, [row, row | {"epoch": 2}])
    assert run.history.read_text().splitlines() == [
        "epoch,train_loss,train_uar,val_loss,val_uar,val_wa,val_macro_f1,learning_rate,seconds",
        "1,0.5,,,,,,,2.25",
        "2,0.5,,,,,,,2.25",
    ]
    assert [line["epoch"] for line in read_table(run.history, HISTORY_COLUMNS)] == ["1", "2"]


def test_the_files_of_a_run_have_the_names_of_the_contract(tmp_path: Path) -> None:
    run = Run(tmp_path)
    paths = (run.config, run.best, run.last, run.history, run.metrics, run.confusion, run.predictions, run.calibration, run.attention)
    assert [path.name for path in paths] == [
        "cfg.json",
        "best.pth",
        "last.pth",
        "history.csv",
        "test_metrics.json",
        "confusion_matrix.csv",
        "predictions.csv",
        "calibration.json",
        "attention.npz",
    ]
    assert {path.parent for path in (*paths, run.split, run.tensorboard, run.lock)} == {tmp_path}
