"""The results of a protocol as a printed table with notes."""

from collections.abc import Iterable, Iterator

from ser.evaluation.protocol_scores import FoldRow, LeakDelta, ProtocolScores
from ser.evaluation.records import GroupScores
from ser.splits.protocols import CELL
from ser.system.console import print_table, say
from ser.wording import counted, percent


def print_results(results: ProtocolScores) -> None:
    """Print the table of folds, the summary, and the notes."""
    header = ("fold", "train", "val", "test", "speakers", "classes", "UAR", "WA", "macro-F1", "epoch")
    print_table(title(results), header, [*map(fold_cells, results.folds), *summary_rows(results)])
    if is_matrix(results):
        print_matrix(results.folds)
    for line in remarks(results):
        say(line)


def fold_cells(row: FoldRow) -> tuple[object, ...]:
    epochs = ", ".join(str(run.best_epoch) for run in row.runs)
    return (row.fold, *row.clips.values(), row.scores.speakers, len(row.classes), *metric_cells(row.scores), epochs)


def metric_cells(scores: GroupScores) -> list[str]:
    return [estimate.in_percent() for estimate in scores.by_metric().values()]


def title(results: ProtocolScores) -> str:
    seeds = counted(len(results.seeds), "seed")
    name = f"{results.protocol.name} version {results.protocol.version}"
    epochs = f"up to {results.train['epochs']} epochs"
    return f"{name}: {results.model.name}, {seeds}, {epochs}; %, with 95 % interval over speakers (none under five)"


def summary_rows(results: ProtocolScores) -> list[tuple[object, ...]]:
    if len(results.folds) == 1:
        return []
    means = {"mean over folds": results.mean_over_folds, "all folds together": results.pooled}
    return [
        (name, None, None, scores.n, scores.speakers, None, *metric_cells(scores), None)
        for name, scores in means.items()
        if scores is not None
    ]


def is_matrix(results: ProtocolScores) -> bool:
    """Whether the folds form a table of training corpus x test corpus."""
    return all(CELL in row.fold for row in results.folds)


def matrix_rows(folds: Iterable[FoldRow]) -> list[tuple[str, ...]]:
    """The header and rows of UAR with its interval: training corpora in rows, test corpora in columns."""
    cells = {tuple(row.fold.split(CELL)): row.scores.uar.in_percent() for row in folds}
    sources, targets = (sorted({pair[place] for pair in cells}) for place in (0, 1))
    return [("trained on / tested on", *targets), *((source, *(cells.get((source, to), "") for to in targets)) for source in sources)]


def print_matrix(folds: Iterable[FoldRow]) -> None:
    header, *rows = matrix_rows(folds)
    print_table("UAR %", header, rows)


def remarks(results: ProtocolScores) -> Iterator[str]:
    """Notes on seeds, speaker independence, completeness and leakage."""
    spread = results.by_seed["uar"]
    if len(results.seeds) > 1:
        yield f"spread over {spread.n} seeds, UAR: {percent(spread.mean)} mean, {percent(spread.min)} to {percent(spread.max)}"
    folds, every = len(results.folds), results.folds_in_all
    if results.speaker_independent:
        yield f"speaker-independent: {proof(folds, every)} it"
    elif results.protocol.speakers == "shared":
        yield "speakers are in both train and test: compare with results of this protocol only"
    if not results.complete:
        yield f"not complete: {folds} of {every} folds{' are here' if folds < every else ', but not with every seed'}"
    if not results.whole_corpora:
        yield "the corpora are incomplete: not comparable with other results of the protocol"
    if results.leak_delta is not None:
        yield leakage(results.leak_delta)


def proof(folds: int, every: int) -> str:
    return "its certificate proves" if folds == 1 else f"the certificates of {'all' if folds == every else 'these'} {folds} folds prove"


def leakage(leak: LeakDelta) -> str:
    interval = leak.interval
    between = f" [{percent(interval.low)}, {percent(interval.high)}] over {len(leak.folds)} folds" if interval else ""
    return (
        f"leakage would have inflated the score by {percent(leak.delta)} points{between}: on random splits of the same sizes the model has "
        f"{percent(leak.uar_random_splits)} UAR instead of {percent(leak.uar)}"
    )
