"""Shell completion. It imports nothing heavy, because the prompt waits for it."""

import re
from importlib import resources
from pathlib import Path

PIPELINE = ("doctor", "extract", "transform", "load", "train")


def complete_steps(incomplete: str) -> list[str]:
    """Names of steps, also after a comma.

    >>> complete_steps("extract,tra")
    ['extract,transform', 'extract,train']
    """
    done, comma, last = incomplete.rpartition(",")
    taken = done.split(",")
    return [f"{done}{comma}{step}" for step in PIPELINE if step.startswith(last) and step not in taken]


def complete_configs(incomplete: str) -> list[str]:
    """Configs shipped with ser and in ./configs, files here, and runs."""
    shipped = Path(str(resources.files("ser"))) / "configs"
    names = {path.name for folder in (shipped, Path("configs")) for path in folder.glob("*.yaml")}
    return sorted(name for name in names if name.startswith(incomplete)) + complete_paths(incomplete, ".yaml") + complete_runs(incomplete)


def complete_runs(incomplete: str) -> list[str]:
    """Folders of runs below ./runs and ./demo/runs."""
    runs = sorted(str(path.parent) for root in ("runs", "demo/runs") for path in Path(root).glob("*/cfg.json"))
    return [run for run in runs if run.startswith(incomplete)]


def complete_models(incomplete: str) -> list[str]:
    """Runs, and exported files."""
    return complete_runs(incomplete) + complete_paths(incomplete, ".onnx")


def complete_paths(incomplete: str, suffix: str) -> list[str]:
    """Files with this suffix and folders that start with `incomplete`."""
    folder = Path(incomplete if incomplete.endswith("/") else Path(incomplete).parent)
    if not folder.is_dir():
        return []
    here = sorted(path for path in folder.iterdir() if path.suffix == suffix or (path.is_dir() and not path.name.startswith(".")))
    texts = [f"{path}/" if path.is_dir() else str(path) for path in here]
    return [text for text in texts if incomplete and text.startswith(incomplete)]


def complete_protocols(incomplete: str) -> list[str]:
    """Names of protocols, found in the text of their file without parsing it."""
    text = (Path(str(resources.files("ser"))) / "protocols.json").read_text(encoding="utf-8")
    names = dict.fromkeys(re.findall(r'^  "name": "([^"]+)"', text, re.MULTILINE))
    return [name for name in names if name.startswith(incomplete)]


def complete_formats(incomplete: str) -> list[str]:
    return [name for name in ("table", "json", "jsonl", "csv", "rttm", "srt") if name.startswith(incomplete)]


def complete_splits(incomplete: str) -> list[str]:
    return [name for name in ("train", "val", "test") if name.startswith(incomplete)]
