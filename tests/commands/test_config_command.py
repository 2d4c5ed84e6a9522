"""`ser config`, and the config of a run as that of another one."""

import json
from pathlib import Path
from typing import Any

import pytest

from conftest import Ser
from places import PACKAGE
from ser.commands.config import field_texts, schema
from ser.config import TrainConfig
from ser.config_file import load_config, read_yaml
from ser.runs.run import Run
from workspace import Workspace

SHIPPED = sorted(path.name for path in (PACKAGE / "configs").glob("*.yaml"))


@pytest.mark.parametrize("name", SHIPPED)
def test_what_is_shown_is_a_config_of_the_same_meaning(ser: Ser, tmp_path: Path, name: str) -> None:
    answer = ser("config", "show", name)
    assert answer.code == 0
    (tmp_path / "shown.yaml").write_text(answer.out)
    assert load_config(tmp_path / "shown.yaml") == load_config(name)


def test_a_value_names_where_it_comes_from(ser: Ser) -> None:
    lines = {line.split(":")[0].strip(): line for line in ser("config", "show", "demo.yaml", "--set", "train.patience=7").out.splitlines()}
    assert lines["patience"].endswith("# --set train.patience=7")
    assert "# demo.yaml, line " in lines["epochs"]
    assert "#" not in lines["grad_clip"]


@pytest.mark.parametrize("value", ["it's: a #folder", "off", "2024", "a\tb", "ünï"])
def test_odd_text_survives(ser: Ser, tmp_path: Path, value: str) -> None:
    answer = ser("config", "show", "demo.yaml", "--set", f"project.runs_dir={json.dumps(value)}")
    (tmp_path / "shown.yaml").write_text(answer.out)
    assert load_config(tmp_path / "shown.yaml").project.runs_dir == value


def refuse_unknown(values: Any, schema: Any, definitions: Any) -> None:
    """Follow a config through the properties of the schema."""
    if "$ref" in schema:
        schema = definitions[schema["$ref"].rpartition("/")[2]]
    assert schema["additionalProperties"] is False
    assert "required" not in schema
    for key, value in values.items():
        assert key in schema["properties"], key
        inner = schema["properties"][key]
        if isinstance(value, dict) and "$ref" in inner:
            refuse_unknown(value, inner, definitions)


@pytest.mark.parametrize("name", SHIPPED)
def test_the_schema_knows_every_key_of_the_shipped_configs(name: str) -> None:
    content: Any = schema()
    refuse_unknown(read_yaml(PACKAGE / "configs" / name)[0], content, content["$defs"])


def test_the_schema_explains_each_field(ser: Ser) -> None:
    content = json.loads(ser("config", "schema").out)
    texts = field_texts(TrainConfig)
    properties = content["$defs"]["TrainConfig"]["properties"]
    assert texts
    assert {name: properties[name]["description"] for name in texts} == texts
    assert content["$schema"].startswith("https://json-schema.org/")


# -- the config of a run ------------------------------------------------------------------


@pytest.mark.parametrize("given", ["{folder}", "{folder}/cfg.json", "{folder}/"])
def test_a_run_is_repeated_by_its_folder_or_its_cfg_json(finished: Run, given: str) -> None:
    content = json.loads(finished.config.read_text())["config"]
    assert load_config(given.format(folder=finished.folder)).model_dump(mode="json") == content
    assert load_config(given.format(folder=finished.folder), ["train.epochs=2"]).train.epochs == 2


def test_a_repeated_run_is_a_run_of_its_own(workspace: Workspace, ser: Ser) -> None:
    assert ser("train", "--config", workspace.config_file, "--epochs", 1, "--run-name", "one").code == 0
    assert ser("train", "--config", workspace.runs / "one", "--run-name", "two").code == 0
    one, two = (workspace.runs / name for name in ("one", "two"))
    assert (one / "predictions.csv").read_bytes() == (two / "predictions.csv").read_bytes()


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("{}", "is not the cfg.json of a run"),
        ("[1]", "is not the cfg.json of a run"),
        ('{"config": 1, "environment": {}}', "is not the cfg.json of a run"),
        ('{"config": {}, "environment": {}, "more": 1}', "is not the cfg.json of a run"),
        ("{", "is not valid JSON"),
        ("[" * 100_000, "is not valid JSON"),
        ('{"config": {"train": {"epoch": 1}}, "environment": {}}', "unknown key train.epoch"),
    ],
)
def test_another_json_file_is_refused(ser: Ser, tmp_path: Path, content: str, reason: str) -> None:
    (tmp_path / "cfg.json").write_text(content)
    answer = ser("config", "show", tmp_path / "cfg.json")
    assert (answer.code, reason in answer.err) == (2, True), answer.err
