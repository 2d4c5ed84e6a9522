"""Which model is meant where none is named: that of $SER_MODEL, or the newest below ./runs."""

import os
import sys
from pathlib import Path
from shlex import quote

from ser.errors import ArtefactError, ConfigError
from ser.home import expand_home
from ser.inference.options import PredictOptions
from ser.inference.seal import check_seal, weights_of
from ser.runs.run import Run
from ser.system.files import read_json
from ser.wording import printable

VARIABLE = "SER_MODEL"
RUNS = Path("runs")
DEMO_RUNS = Path("demo/runs")
"""Where `ser demo` trains."""
EXPORTED = "model.onnx"
"""Where `ser export` writes the model of a run."""


def choose_model(options: PredictOptions) -> Path:
    """A folder of a run or an exported file. What was found below ./runs, and not named, is told on standard error.

    Args:
        options: a model that they name goes before all; with a backbone, the run is taken and not its exported model.

    Raises:
        ConfigError: there is none, or none where $SER_MODEL says.
    """
    if options.model is not None:
        return Path(options.model)
    named = os.environ.get(VARIABLE)
    if named:
        named = expand_home(named)
        if not os.path.exists(named):  # noqa: PTH110 - Path's raises where a name is too long
            raise ConfigError(f"{VARIABLE} names {printable(named)}, which does not exist")
        return Path(named)
    run = newest_run(RUNS)
    if run is None:
        what = f"no --model, and no finished run in ./{RUNS}"
        demo = newest_run(DEMO_RUNS)
        if demo is not None:
            raise ConfigError(f"{what}: to use the run of `ser demo`, add --model {quote(str(demo.folder))}")
        raise ConfigError(f"{what}: name a model with --model or {VARIABLE}, or train one (`ser demo` takes a minute)")
    found = run.folder if options.backbone is not None else fastest(run)
    print(f"ser: the model is {found} (--model names another)", file=sys.stderr)
    return found


def newest_run(root: Path) -> Run | None:
    """The run directly below `root` that was finished last: with weights and with scores, which are written at the end."""
    runs = [Run(path.parent) for path in root.glob("*/best.pth")]
    finished = [run for run in runs if run.metrics.is_file()]
    return max(finished, key=lambda run: run.metrics.stat().st_mtime_ns, default=None)


def fastest(run: Run) -> Path:
    """Its exported model, which starts in a fraction of the time: if it is there, whole, of the run's own weights, and can be used."""
    exported = run.folder / EXPORTED
    if not exported.is_file():
        return run.folder
    try:
        refuse_other(run, exported)
    except (ArtefactError, OSError) as error:
        print(f"ser: {error}: the run itself answers", file=sys.stderr)
        return run.folder
    return exported


def refuse_other(run: Run, exported: Path) -> None:
    """
    Raises:
        ArtefactError: the exported model is of other weights than the run, or damaged; or the run does not tell its weights.
    """
    scores = read_json(run.metrics)
    weights = scores.get("weights") if isinstance(scores, dict) else None
    if weights is None or weights_of(exported) != weights:
        raise ArtefactError(f"{exported} is not of the weights of {run.best.name}")
    with exported.open("rb") as file:
        check_seal(exported, file)


def is_model(path: Path) -> bool:
    """Whether a path that should be audio is a model."""
    return path.suffix == ".onnx" or os.path.isfile(Run(path).best)  # noqa: PTH113 - Path's raises where a name is too long
