"""Compare two runs from Python."""

import os
from dataclasses import dataclass

from ser.api.run import Run
from ser.evaluation.comparison import TITLES, Comparison, compare_folds, require_pairs, sentence
from ser.evaluation.results import names_of, read_results
from ser.home import user_path


@dataclass(frozen=True)
class RunComparison:
    """Run A compared with run B on the same test utterances, paired over speakers."""

    uar: Comparison
    """The difference in UAR: `difference` (A minus B, as a share of 1), `interval`, `verdict` and more."""
    wa: Comparison
    macro_f1: Comparison
    sentence: str
    """The meaning of the difference in UAR, in one sentence."""

    def __str__(self) -> str:
        return self.sentence


def compare(a: Run | str | os.PathLike[str], b: Run | str | os.PathLike[str]) -> RunComparison:
    """Compare two runs, or the results of one protocol for two systems.

    Args:
        a: a run, or the folder of a run or of the results of a protocol.
        b: as `a`, with the same test utterances.

    Raises:
        DataError: a folder has no predictions on test, or the two differ in folds, test utterances, labels or classes.
        ArtefactError: a table of predictions is corrupted.

    Example:
        ```python
        result = ser.compare("runs/A", "runs/B")
        print(result)
        print(result.uar.difference, result.uar.verdict)
        ```
    """
    folders = [run.path if isinstance(run, Run) else user_path(run) for run in (a, b)]
    one, other = (read_results(folder) for folder in folders)
    names = names_of(folders[0], folders[1])
    require_pairs(one, other, names)
    found = {metric: compare_folds(one, other, metric) for metric in TITLES}
    return RunComparison(**found, sentence=sentence(found["uar"], *names))
