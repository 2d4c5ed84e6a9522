"""The default model: the one named by $SER_MODEL, or the newest finished run in ./runs."""

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
"""The folder of the run that `ser demo` trains."""
EXPORTED = "model.onnx"
"""The file that `ser export` writes into the folder of a run."""


def choose_model(options: PredictOptions) -> Path:
    """Choose the folder of a run or an exported file. A model that was found in ./runs is named on standard error.

    Args:
        options: a model named here takes precedence; with a backbone, the run is used and not its exported model.

    Raises:
        ConfigError: there is no such model, or $SER_MODEL names a path that does not exist.
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
    """The run in `root` that finished last: it has weights, and scores, which are written at the end."""
    runs = [Run(path.parent) for path in root.glob("*/best.pth")]
    finished = [run for run in runs if run.metrics.is_file()]
    return max(finished, key=lambda run: run.metrics.stat().st_mtime_ns, default=None)


def fastest(run: Run) -> Path:
    """The run's exported model, which loads in a fraction of the time, if it exists, is intact, has the run's own weights, and can be
    used."""
    exported = run.folder / EXPORTED
    if not exported.is_file():
        return run.folder
    try:
        refuse_other(run, exported)
    except (ArtefactError, OSError) as error:
        print(f"ser: {error}: the run is used instead", file=sys.stderr)
        return run.folder
    return exported


def refuse_other(run: Run, exported: Path) -> None:
    """
    Raises:
        ArtefactError: the exported model has other weights than the run, or is corrupted; or the run does not record its weights.
    """
    scores = read_json(run.metrics)
    weights = scores.get("weights") if isinstance(scores, dict) else None
    if weights is None or weights_of(exported) != weights:
        raise ArtefactError(f"{exported} was not exported from the weights in {run.best.name}")
    with exported.open("rb") as file:
        check_seal(exported, file)


def is_model(path: Path) -> bool:
    """Whether a path that was given as a recording is a model."""
    return path.suffix == ".onnx" or os.path.isfile(Run(path).best)  # noqa: PTH113 - Path's raises where a name is too long
