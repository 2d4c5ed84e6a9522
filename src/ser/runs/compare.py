"""Comparison of a run's config with another config."""

import json
from collections.abc import Mapping

from pydantic import ValidationError

from ser.config import ExperimentConfig
from ser.errors import ArtefactError
from ser.runs.run import Run
from ser.system.files import read_json

MAY_DIFFER = ("project", "protocol", "calibration", "tracking", "runtime")
"""Sections that do not change the result, so a run may be resumed with other values. `project.seed` is compared separately."""


SAME_RESULT = ("labels.missing",)
"""Keys that change nothing of a run that exists: its certificate holds the classes."""

MAX_VALUE_LENGTH = 200
"""Maximum number of characters of a value in a message."""


def differences(config: ExperimentConfig, run: Run) -> list[str]:
    """Differences between a config and that of a run that change the result: dotted keys with both values.

    Raises:
        ArtefactError: cfg.json is corrupted, or is not a file of this program.
    """
    stored, current = (flatten(each.model_dump(mode="json")) for each in (stored_config(run), config))
    keys = sorted(stored.keys() | current.keys())
    compared = [key for key in keys if (key.split(".")[0] not in MAY_DIFFER or key == "project.seed") and key not in SAME_RESULT]
    return [contrast(key, stored.get(key), current.get(key)) for key in compared if stored.get(key) != current.get(key)]


def stored_config(run: Run) -> ExperimentConfig:
    """Config of a run. Keys that were added in a later version have their defaults.

    Raises:
        ArtefactError: cfg.json is corrupted, or is not a file of this program.
    """
    content = read_json(run.config)
    if not isinstance(content, Mapping) or not isinstance(content.get("config"), Mapping):
        raise ArtefactError(f"{run.config} is not the config of a run of this program")
    try:
        return ExperimentConfig.model_validate(content["config"])
    except ValidationError as error:
        first = error.errors()[0]
        what = f"{'.'.join(map(str, first['loc']))}: {first['msg']}"[:MAX_VALUE_LENGTH]
        raise ArtefactError(f"{run.config} has a config that this version does not know ({what})") from None


def contrast(key: str, stored: object, current: object) -> str:
    """A key with its value in a run and its current value; only the key if a value is not JSON, such as a tensor.

    >>> contrast("model.features", ["mel", "mfcc"], ("mel",))
    'model.features (["mel", "mfcc"] in the run, ["mel"] now)'
    """
    try:
        then, now = (json.dumps(value, ensure_ascii=False) for value in (stored, current))
    except TypeError:
        return key
    return f"{key} ({then[:MAX_VALUE_LENGTH]} in the run, {now[:MAX_VALUE_LENGTH]} now)"


def flatten(values: Mapping[str, object], prefix: str = "") -> dict[str, object]:
    """Nested mappings as one with dotted keys.

    >>> flatten({"a": {"b": 1}, "c": [2]})
    {'a.b': 1, 'c': [2]}
    """
    flat: dict[str, object] = {}
    for key, value in values.items():
        flat |= flatten(value, f"{prefix}{key}.") if isinstance(value, Mapping) else {f"{prefix}{key}": value}
    return flat
