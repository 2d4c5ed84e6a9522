#!/usr/bin/env python3
"""The example figures of the README, from CREMA-D and a run of `spectral_crnn.yaml` on the test split.

    python scripts/make_figures.py --run runs/RUN [--id crema_1011_DFA_ANG_XX] [--out docs/img]

Needs data/raw/crema, the steps extract, transform and load, and a finished run. The scores in the pictures are those of the run's CREMA-D
clips. CREMA-D is under the ODbL 1.0 (Cao et al. 2014): pages that show these figures name it.
"""

import argparse
import logging
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from ser.commands.visualize import visualize
from ser.config_file import load_config
from ser.errors import SerError
from ser.evaluation.calibration import read_calibration
from ser.evaluation.confidence import reliability
from ser.evaluation.predictions import Predictions, read_predictions
from ser.report.figures.calibration import reliability_diagram
from ser.report.figures.confusion import confusion
from ser.report.paper import save_figure
from ser.runs.run import Run
from ser.system.files import atomic_write

if TYPE_CHECKING:
    from matplotlib.figure import Figure

CLIP = "crema_1011_DFA_ANG_XX"
COLOURS = 192
"""Of a picture's palette: nobody sees a difference, and the file is half as large."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--run", required=True)
    parser.add_argument("--config", default="spectral_crnn.yaml")
    parser.add_argument("--set", action="append", default=[], dest="settings")
    parser.add_argument("--id", default=CLIP)
    parser.add_argument("--out", type=Path, default=Path("docs/img"))
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    try:
        with TemporaryDirectory() as scratch:
            for picture in pictures(arguments, Path(scratch)):
                shrink(picture, arguments.out / picture.name)
    except SerError as error:
        sys.exit(str(error))


def pictures(arguments: argparse.Namespace, scratch: Path) -> Iterator[Path]:
    """Of the clip and of the run, as files called by what they show."""
    config = load_config(arguments.config, [*arguments.settings, f"project.reports_dir={scratch}"])
    with redirect_stdout(StringIO()):  # it names files that will soon be gone
        drawn = visualize(config, utterance_id=arguments.id, run=arguments.run, save=True, show=False)
    for path in drawn:
        yield path.rename(scratch / f"{path.stem.partition(arguments.id)[2].strip('_')}.png")
    for name, figure in of_run(Run(Path(arguments.run))):
        save_figure(scratch / f"{name}.png", figure)
        yield scratch / f"{name}.png"


def of_run(run: Run) -> "Iterator[tuple[str, Figure]]":
    """Confusion matrix and reliability diagram of the clips of CREMA-D in test."""
    test = read_predictions(run.predictions)["test"]
    crema: Predictions = test.select(np.asarray(test.corpora) == "crema")
    yield "confusion", confusion(crema.confusion, crema.classes)
    calibration = read_calibration(run.calibration)
    before, after = (reliability(table, crema.truth) for table in (crema.probabilities, calibration.apply(crema.probabilities)))
    yield "reliability", reliability_diagram(before, None if calibration.temperature is None else after)


def shrink(picture: Path, target: Path) -> None:
    """The same picture with a palette, which says neither when nor where it was made."""
    with Image.open(picture) as image, atomic_write(target) as file:
        image.convert("RGB").quantize(COLOURS, dither=Image.Dither.NONE).save(file, format="png", optimize=True)
    print(f"{target}: {target.stat().st_size / 1000:.0f} kB")


if __name__ == "__main__":
    main()
