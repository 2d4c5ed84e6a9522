"""`ser info`: describe a run or an exported model. An exported file is described without torch, scipy or transformers."""

import json

from ser.commands.info_exported import EXPORTED, exported_facts
from ser.errors import DataError
from ser.home import user_path
from ser.system.console import print_pairs

TITLES = {"uar": "UAR", "wa": "WA", "macro_f1": "macro-F1"}
"""Printed names of metrics."""


def print_info(model: str, *, as_json: bool = False) -> None:
    """
    Raises:
        DataError: the path is neither a run nor an exported model.
        ArtefactError: a file of it is corrupted.
        ConfigError: onnxruntime is not installed.
    """
    path = user_path(model)
    if path.is_dir():
        from ser.commands.info_run import run_facts  # imports scipy to read scores
        from ser.runs.run import Run

        facts = run_facts(Run(path))
    elif path.suffix == EXPORTED and path.is_file():
        facts = exported_facts(path)
    else:
        raise DataError(f"{path} is not a model: give the folder of a run, or an exported {EXPORTED} file")
    if as_json:
        print(json.dumps(facts, indent=2, allow_nan=False))
    else:
        print_pairs([(name.replace("_", " "), in_words(value)) for name, value in facts.items()])


def in_words(value: object) -> str:
    """
    >>> in_words({"uar": {"value": 0.5, "low": 0.4, "high": 0.6}, "wa": {"value": 0.5, "low": None, "high": None}})
    'UAR 50.0 % [40.0, 60.0], WA 50.0 %'
    >>> in_words(["sad", "happy"]), in_words(None), in_words(True), in_words({"best.pth": 12})
    ('sad, happy', '-', 'yes', 'best.pth 12')
    """
    match value:
        case None:
            return "-"
        case bool():
            return "yes" if value else "no"
        case list():
            return ", ".join(map(str, value))
        case {"value": float(share), "low": low, "high": high}:
            return f"{100 * share:.1f} %" + ("" if low is None else f" [{100 * low:.1f}, {100 * high:.1f}]")
        case dict():
            return ", ".join(f"{TITLES.get(name, name)} {in_words(each)}" for name, each in value.items())
    return str(value)
