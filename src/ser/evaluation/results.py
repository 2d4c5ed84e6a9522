"""The predictions on test in a folder of results: that of a run, or of a protocol."""

from pathlib import Path

from ser.errors import ArtefactError, DataError
from ser.evaluation.folds import Folds
from ser.evaluation.predictions import is_of_protocol, read_predictions, read_protocol_predictions


def read_results(folder: Path) -> Folds:
    """The predictions on test: those of a run as one fold with one seed, those of a protocol as they are.

    Raises:
        DataError: there are none.
        ArtefactError: the table is corrupted.
    """
    path = folder / "predictions.csv"
    if not path.is_file():
        raise DataError(f"{folder} has no predictions.csv: it is neither a finished run nor the results of a protocol")
    if is_of_protocol(path):
        folds = read_protocol_predictions(path)
        if not folds:
            raise ArtefactError(f"{path} has no predictions")
        return folds
    splits = read_predictions(path)
    if "test" not in splits:
        raise DataError(f"{path} has no predictions on test")
    return {"test": [splits["test"]]}


def names_of(a: Path, b: Path) -> tuple[str, str]:
    """The names of the folders, or the whole paths if the names are equal.

    >>> names_of(Path("runs/one"), Path("runs/two/")), names_of(Path("old/one"), Path("new/one"))
    (('one', 'two'), ('old/one', 'new/one'))
    """
    short = a.resolve().name, b.resolve().name
    return short if short[0] != short[1] else (str(a), str(b))
