"""The whole pipeline on the sample of CREMA-D that comes with the package."""

from importlib import resources
from pathlib import Path
from shlex import quote

from ser.config_file import load_config
from ser.home import user_path
from ser.inference.choose_model import newest_run
from ser.pipeline.steps import run_steps
from ser.system.console import say


def demo(folder: str) -> None:
    """Extract, transform, load and train on the embedded sample; everything is written below `folder`."""
    sample = Path(str(resources.files("ser"))) / "sample"
    root = user_path(folder)
    places = {"raw_dir": sample, "processed_dir": root / "processed", "runs_dir": root / "runs", "reports_dir": root / "reports"}
    config = load_config("demo.yaml", [f"project.{key}={quoted(path)}" for key, path in places.items()])
    run_steps(config, ["extract", "transform", "load", "train"])
    run = newest_run(root / "runs")
    if run is not None:
        say(f"Try it: ser predict --model {quote(str(run.folder))} RECORDING")
    say("A few clips of 16 speakers: the score shows that everything works, not how well. README.md has the measured figures.")


def quoted(path: Path) -> str:
    """A path as a YAML text, whatever signs it holds."""
    text = str(path).replace("'", "''")
    return f"'{text}'"
