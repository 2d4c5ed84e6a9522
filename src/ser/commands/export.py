"""`ser export`: the model of a finished run as one file that needs neither torch nor this run."""

import logging
from contextlib import nullcontext
from pathlib import Path

from ser.errors import ConfigError
from ser.export.onnx_file import export_run
from ser.home import user_path
from ser.runs.run import Run
from ser.system.console import say
from ser.system.files import exclusive_lock, refuse_place

log = logging.getLogger(__name__)

SUFFIX = ".onnx"


def export(folder: str, out: str | None = None, *, int8: bool = False, backbone: str | None = None, head_only: bool = False) -> Path:
    """Write the model of the run `folder` to `out`, or into its folder as model.onnx (head.onnx, model.int8.onnx); returns the path.

    Args:
        int8, backbone, head_only: as of `export_run`.

    Raises:
        ConfigError: `folder` is none; `out` is not called `.onnx`, or nothing can be written there; or as of `export_run`.
        DataError: the folder is no finished run.
        ArtefactError: something of the run is corrupted, or the file would not say what the model says.
        LockedError: another process writes into the run's folder.
    """
    run = Run(user_path(folder))
    name = ("head" if head_only else "model") + ".int8" * int8 + SUFFIX
    path = run.folder / name if out is None else user_path(out)
    if path.suffix != SUFFIX:
        raise ConfigError(f"--out {path}: the name of an exported model ends in {SUFFIX}")
    if run.folder.exists() and not run.folder.is_dir():
        raise ConfigError(f"{run.folder} is a file: give the folder of a run")
    refuse_place(path, "--out")
    with exclusive_lock(run.lock) if path.parent.resolve() == run.folder.resolve() else nullcontext():
        exported = export_run(run, path, int8=int8, backbone=backbone, head_only=head_only)
    if exported.calibration.threshold is None and run.calibration.is_file():  # else it is said already
        log.warning("the model always answers, it never says unknown: %s", exported.calibration.reason)
    if exported.facts.backbone is not None and exported.facts.backbone["trained_in"] == "bf16":
        log.info("trained on frames that were computed in bf16, exported in fp32: probabilities differ by a hundredth or so")
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB, {exported.facts.precision}): {', '.join(exported.classes)}")
    say(exported.licence)
    if exported.missing:
        say(f"a head alone: {exported.missing}")
    return path
