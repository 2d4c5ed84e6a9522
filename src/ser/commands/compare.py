"""Compare two finished runs, or the results of a protocol of two systems: is one better than the other?"""

from collections.abc import Sequence
from pathlib import Path

from ser.evaluation.comparison import TITLES, Comparison, compare_folds, require_pairs, sentence
from ser.evaluation.intervals import Estimate
from ser.evaluation.results import names_of, read_results
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
