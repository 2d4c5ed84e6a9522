"""`ser export`: write the model of a finished run as one file that works without torch and without the run."""

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
    """Write the model of the run `folder` to `out`, or into its folder as model.onnx (head.onnx, model.int8.onnx), and return the path.

    Args:
        int8, backbone, head_only: see `export_run`.

    Raises:
        ConfigError: `folder` is not a folder; `out` does not end in `.onnx`, or cannot be written; or see `export_run`.
        DataError: the folder is not a finished run.
        ArtefactError: a file of the run is corrupted, or the outputs of the export differ from those of the model.
        LockedError: another process is writing into the run's folder.
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
    if exported.calibration.threshold is None and run.calibration.is_file():  # otherwise this was already reported
        log.warning("the model never answers unknown: %s", exported.calibration.reason)
    if exported.facts.backbone is not None and exported.facts.backbone["trained_in"] == "bf16":
        log.info("trained on frames computed in bf16 and exported in fp32: probabilities differ by about 0.01")
    say(f"{path} ({path.stat().st_size / 1e6:.1f} MB, {exported.facts.precision}): {', '.join(exported.classes)}")
    say(exported.licence)
    if exported.missing:
        say(f"without a backbone: {exported.missing}")
    return path
