"""Compare two finished runs, or the results of a protocol of two systems: is one better than the other?"""

from collections.abc import Sequence
from pathlib import Path

from ser.errors import ArtefactError, DataError
from ser.evaluation.comparison import TITLES, Comparison, compare_folds, require_pairs, sentence
from ser.evaluation.folds import Folds
from ser.evaluation.intervals import Estimate
from ser.evaluation.predictions import is_of_protocol, read_predictions, read_protocol_predictions
from ser.home import user_path
from ser.system.console import print_table, say


def compare_runs(folder_a: str | Path, folder_b: str | Path) -> None:
    """Print the difference in every metric, with its interval over speakers, and a sentence on UAR.

    Args:
        folder_a: folder of a run, or of the results of a protocol.

    Raises:
        DataError: a folder has no predictions on test; the two differ in folds, test utterances, truths or classes.
        ArtefactError: a table of predictions is corrupted.
    """
    folders = user_path(folder_a), user_path(folder_b)
    a, b = (read_results(folder) for folder in folders)
    names = names_of(*folders)
    require_pairs(a, b, names)
    comparisons = [compare_folds(a, b, metric) for metric in TITLES]
    print_comparison(comparisons, *names)
    say(sentence(comparisons[0], *names))


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


def print_comparison(comparisons: Sequence[Comparison], name_a: str, name_b: str) -> None:
    """A table of two systems and their difference in each metric, in per cent."""
    rows = [
        (
            TITLES[compared.metric],
            f"{100 * compared.a:.1f}",
            f"{100 * compared.b:.1f}",
            Estimate(compared.difference, compared.interval).in_points(),
            compared.verdict or "no verdict",
            smallest(compared),
        )
        for compared in comparisons
    ]
    header = ("", name_a, name_b, "difference", f"{name_a} is", "smallest detectable difference")
    what = f"test, {comparisons[0].over}" if comparisons[0].over else "test"
    print_table(f"{what}, % and points with 95 % interval over speakers, paired", header, rows)


def smallest(compared: Comparison) -> str:
    return "-" if compared.detectable is None else f"{100 * compared.detectable:.1f}"
