"""Configs from Python."""

import os
from collections.abc import Mapping, Sequence

from ser.config import ExperimentConfig
from ser.config_file import build, find_config, merge_into, read_layers


def load_config(name: str | os.PathLike[str], settings: Sequence[str] = (), **sections: Mapping[str, object] | None) -> ExperimentConfig:
    """Load the config of an experiment, with changes on top.

    Args:
        name: path of a YAML file, or the name of a config in `./configs` or shipped with ser, such as `spectral_crnn`.
        settings: as `--set` on the command line: `["train.epochs=20", "labels.keep=[happy, sad]"]`. They are applied last.
        sections: changes to sections of the config as mappings; keys that are not given keep their values.

    Returns:
        An immutable config; `config.train.epochs` and so on are its values.

    Raises:
        ConfigError: there is no such config, or a key or value in it or in the changes is not valid. The message names the key.

    Example:
        >>> load_config("spectral_crnn", train={"epochs": 20}).train.epochs
        20
        >>> load_config("spectral_crnn", ["train.epochs=20"]).train.epochs
        20
    """
    values, origins = read_layers(find_config(os.fspath(name)))
    for section, changes in sections.items():
        changed = {section: plain(changes)}
        merge_into(values, changed)
        origins.update(dict.fromkeys(dotted(changed), f"{section}= of load_config"))
    return build(values, origins, settings)


def plain(value: object) -> object:
    """Convert other mappings to dictionaries, and tuples to lists."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    return [plain(item) for item in value] if isinstance(value, list | tuple) else value


def dotted(values: Mapping[str, object], prefix: str = "") -> list[str]:
    """The keys of a mapping at any depth.

    >>> dotted({"train": {"epochs": 3}})
    ['train', 'train.epochs']
    """
    found: list[str] = []
    for name, value in values.items():
        found.append(prefix + name)
        found += dotted(value, f"{prefix}{name}.") if isinstance(value, Mapping) else []
    return found
