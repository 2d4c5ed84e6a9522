"""The whole pipeline on the sample of CREMA-D in the package."""

from importlib import resources
from pathlib import Path
from shlex import quote

from ser.config_file import load_config
from ser.home import user_path
from ser.inference.choose_model import newest_run
from ser.pipeline.steps import run_steps
from ser.runs.run import Run
from ser.system.console import say
from ser.system.program import nearby, program
from ser.system.tables import read_table

SAMPLE = Path(str(resources.files("ser"))) / "sample"
"""The folder with clips of CREMA-D in the package."""


def demo(folder: str, epochs: int | None = None) -> None:
    """Extract, transform, load and train on the embedded sample; all files are written below `folder`.

    Args:
        epochs: the number of epochs; None: that of demo.yaml.
    """
    root = user_path(folder)
    places = {"raw_dir": SAMPLE, "processed_dir": root / "processed", "runs_dir": root / "runs", "reports_dir": root / "reports"}
    settings = [f"project.{key}={quoted(path)}" for key, path in places.items()]
    config = load_config("demo.yaml", settings + ([] if epochs is None else [f"train.epochs={epochs}"]))
    run_steps(config, ["extract", "transform", "load", "train"])
    run = newest_run(root / "runs")
    if run is not None:
        say(f"Try it: {program()} predict --model {quote(str(run.folder))} {quote(str(nearby(unseen_clip(run))))}")
    say("The clips of 16 speakers are enough to check that everything works, not to judge accuracy. README.md has the measured results.")


def unseen_clip(run: Run) -> Path:
    """A recording of the sample by a speaker that the run was not trained on."""
    names = [row["id"].partition("_")[2] for row in read_table(run.predictions, ["id", "split"]) if row["split"] == "test"]
    return next(path for path in sorted(SAMPLE.rglob("*.*")) if path.stem in names)


def quoted(path: Path) -> str:
    """A path as a quoted YAML string."""
    text = str(path).replace("'", "''")
    return f"'{text}'"
