"""From the finished folds of a protocol to predictions.csv, protocol.json and the printed table."""

import math
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, DataError
from ser.evaluation.intervals import MIN_SPEAKERS
from ser.evaluation.metrics import METRICS
from ser.evaluation.predictions import Predictions, read_predictions, write_protocol_predictions
from ser.evaluation.scores import fold_scores, pooled_scores, score, seed_spread
from ser.runs.run import Run
from ser.splits.certificate import read_certificate, speaker_independent
from ser.splits.protocols import CELL, Fold, Protocol
from ser.splits.split import CERTIFICATE_FILE, Split
from ser.system.console import print_table, say
from ser.system.files import read_json, write_json
from ser.wording import counted, percent, with_interval

SCHEMA = 1

Results = dict[str, Any]


@dataclass(frozen=True)
class Finished:
    """One fold with one seed."""

    fold: Fold
    seed: int
    leaky: bool
    run: Run
    split: Split
    metrics: Mapping[str, Any]
    """Of test_metrics.json."""
    independent: bool
    """Whether the run's certificate proves that nobody in test was heard in training or in selection."""

    stores: Any
    """Fingerprints of the feature stores that it was trained on."""

    @classmethod
    def read(cls, fold: Fold, seed: int, leaky: bool, run: Run, split: Split) -> "Finished":
        """
        Raises:
            ArtefactError: scores or certificate are damaged.
        """
        certificate = read_certificate(run.split / CERTIFICATE_FILE)
        try:
            metrics, stores = read_json(run.metrics), read_json(run.split / "normaliser.json")["stores"]
            whole = all(math.isfinite(metrics[key]) for key in (*METRICS, "n", "best_epoch", "epochs"))
        except (KeyError, TypeError):
            whole = False
        if not whole:
            raise ArtefactError(f"{run.folder} holds no whole scores of this program: remove it to train the fold again")
        return cls(fold, seed, leaky, run, split, metrics, speaker_independent(certificate), stores)

    def predictions(self) -> Predictions:
        """Of its test part.

        Raises:
            ArtefactError: the table is damaged, or not of the clips that the certificate speaks of.
        """
        found = read_predictions(self.run.predictions).get("test")
        entries = self.split.splits["test"]
        certified = [(entry.id, entry.corpus, entry.speaker, entry.emotion) for entry in entries]
        if found is None or certified != said_of(found):
            raise ArtefactError(f"{self.run.predictions} is not of the fold's test clips: remove {self.run.folder} to train the fold again")
        return found


def said_of(found: Predictions) -> list[tuple[str, str, str, str]]:
    """id, corpus, speaker and truth of every row."""
    truths = [found.classes[label] for label in found.truth]
    return list(zip(found.ids, found.corpora, found.speakers, truths, strict=True))


def write_results(folder: Path, protocol: Protocol, config: ExperimentConfig, finished: Sequence[Finished]) -> Results:
    """predictions.csv, then protocol.json, whose content is returned.

    Raises:
        DataError: no fold is finished.
        ArtefactError: the predictions of a run are damaged.
    """
    honest = by_fold([one for one in finished if not one.leaky])
    if not honest:
        raise DataError(f"no fold of {protocol.name} is finished: nothing to tell")
    predictions = {name: {one.seed: one.predictions() for one in of} for name, of in honest.items()}
    seeds = config.protocol.seeds
    # a seed counts only where all folds have it: else its mean would be over others than that of its neighbour
    whole = [seed for seed in seeds if all(seed in of for of in predictions.values())] or [seeds[0]]
    shared = {name: [of[seed] for seed in whole if seed in of] for name, of in predictions.items()}
    results = {
        "schema": SCHEMA,
        "protocol": protocol.model_dump(mode="json", exclude={"folds"}),
        "model": {"name": config.model.name, "features": list(config.model.features)},
        "train": config.train.model_dump(mode="json"),
        "augmented_copies": config.augmentations.copies,
        "seeds": list(seeds),
        "folds_in_all": len(protocol.folds),
        "complete": len(honest) == len(protocol.folds) and all(len(of) == len(seeds) for of in honest.values()),
        "whole_corpora": all(one.fold.counts.model_dump() == sizes(one.split) for one in finished),
        "speaker_independent": all(one.independent for of in honest.values() for one in of),
        "folds": [fold_row(of, predictions[name]) for name, of in honest.items()],
        **fold_scores({name: of for name, of in shared.items() if of}),
        "by_seed": by_seed(shared, whole),
        "parts": parts(shared, whole),
        "leak_delta": leak_delta(honest, by_fold([one for one in finished if one.leaky])),
    }
    write_protocol_predictions(folder / "predictions.csv", predictions)
    write_json(folder / "protocol.json", results)
    return results


def by_fold(finished: Sequence[Finished]) -> dict[str, list[Finished]]:
    folds: dict[str, list[Finished]] = defaultdict(list)
    for one in finished:
        folds[one.fold.name].append(one)
    return dict(folds)


def sizes(split: Split) -> dict[str, int]:
    return {name: len(rows) for name, rows in split.splits.items()}


def fold_row(finished: Sequence[Finished], predictions: Mapping[int, Predictions]) -> Results:
    """A fold's counts and its scores, those of all its seeds together."""
    first = finished[0]
    return {
        "fold": first.fold.name,
        "corpora": list(first.fold.corpora),
        "classes": list(first.split.classes),
        "clips": sizes(first.split),
        "expected": first.fold.counts.model_dump(),
        "published": first.fold.published.model_dump() if first.fold.published else None,
        "train_speakers": len(first.split.certificate.splits["train"].speakers),
        "test_speakers": list(first.split.certificate.splits["test"].speakers),
        "speaker_independent": all(one.independent for one in finished),
        **pooled_scores([predictions[one.seed] for one in finished]),
        "runs": [run_row(one) for one in finished],
    }


def run_row(one: Finished) -> Results:
    """One training of a fold."""
    scores = {key: one.metrics.get(key) for key in (*METRICS, "n", "best_epoch", "epochs", "selection", "certificate")}
    return {"seed": one.seed, "run": one.run.folder.name, **scores}


def by_seed(shared: Mapping[str, Sequence[Predictions]], seeds: Sequence[int]) -> Results:
    """The mean over folds of each seed, and how far the seeds lie apart."""
    means = [
        fold_scores({name: [of[place]] for name, of in shared.items() if len(of) > place})["mean_over_folds"] for place in range(len(seeds))
    ]
    return {metric: {"values": [mean[metric] for mean in means], **seed_spread([mean[metric] for mean in means])} for metric in METRICS}


def parts(shared: Mapping[str, Sequence[Predictions]], seeds: Sequence[int]) -> list[Results]:
    """For each seed the scores of each class, corpus, gender and speaker over all folds; nothing where folds differ in classes, or where an
    utterance is tested in several."""
    found = []
    for place, seed in enumerate(seeds):
        of = [fold[place] for fold in shared.values() if len(fold) > place]
        ids = [utterance for one in of for utterance in one.ids]
        if len({one.classes for one in of}) == 1 and len(set(ids)) == len(ids):
            scores = score(joined(of))
            found.append({"seed": seed, **{key: scores[key] for key in ("per_class", "per_corpus", "per_gender", "per_speaker")}})
    return found


def joined(of: Sequence[Predictions]) -> Predictions:
    """One behind the other; without gates, which no score needs."""
    return Predictions(
        ids=[utterance for one in of for utterance in one.ids],
        corpora=[corpus for one in of for corpus in one.corpora],
        speakers=[speaker for one in of for speaker in one.speakers],
        truth=np.concatenate([one.truth for one in of]),
        probabilities=np.concatenate([one.probabilities for one in of]),
        classes=of[0].classes,
    )


def leak_delta(honest: Mapping[str, Sequence[Finished]], leaky: Mapping[str, Sequence[Finished]]) -> Results | None:
    """UAR on random splits of the same sizes, minus UAR on the protocol's own; None where no random split was trained.

    Each fold counts with the mean over the seeds that both sides have; the interval is Student's t over folds, from five folds on.
    """
    pairs = {name: common_seeds(of, leaky[name]) for name, of in honest.items() if name in leaky}
    folds = [name for name, (own, _) in pairs.items() if own]
    if not folds:
        return None
    means = [np.array([np.mean(pairs[name][side]) for name in folds]) for side in (0, 1)]
    difference = means[1] - means[0]
    interval = None
    if len(folds) >= MIN_SPEAKERS:
        half = stats.t.ppf(0.975, len(folds) - 1) * difference.std(ddof=1) / np.sqrt(len(folds))
        interval = {"low": float(difference.mean() - half), "high": float(difference.mean() + half), "method": "Student's t over folds"}
    return {
        "folds": folds,
        "uar": float(means[0].mean()),
        "uar_random_splits": float(means[1].mean()),
        "delta": float(difference.mean()),
        "interval": interval,
    }


def common_seeds(own: Sequence[Finished], random: Sequence[Finished]) -> tuple[list[float], list[float]]:
    """UAR of each seed that both have."""
    one, other = ({run.seed: float(run.metrics["uar"]) for run in of} for of in (own, random))
    seeds = sorted(one.keys() & other.keys())
    return [one[seed] for seed in seeds], [other[seed] for seed in seeds]


def print_results(results: Results) -> None:
    """The table of folds, what it comes to, and how it may be called."""
    print_table(
        title(results),
        ("fold", "train", "val", "test", "speakers", "classes", "UAR", "WA", "macro-F1", "epoch"),
        [
            (
                row["fold"],
                *row["clips"].values(),
                row["speakers"],
                len(row["classes"]),
                *(with_interval(row, metric) for metric in METRICS),
                ", ".join(str(run["best_epoch"]) for run in row["runs"]),
            )
            for row in results["folds"]
        ]
        + summary_rows(results),
    )
    if is_matrix(results):
        print_matrix(results["folds"])
    for line in remarks(results):
        say(line)


def title(results: Results) -> str:
    seeds = counted(len(results["seeds"]), "seed")
    name = f"{results['protocol']['name']} version {results['protocol']['version']}"
    epochs = f"up to {results['train']['epochs']} epochs"
    return f"{name}: {results['model']['name']}, {seeds}, {epochs}; %, with 95 % interval over speakers (none under five)"


def summary_rows(results: Results) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = []
    if len(results["folds"]) == 1:
        return rows
    for name, scores in (("mean over folds", results["mean_over_folds"]), ("all folds together", results["pooled"])):
        if scores is not None:
            cells = (with_interval(scores, metric) for metric in METRICS)
            rows.append((name, None, None, scores.get("n"), scores.get("speakers"), None, *cells, None))
    return rows


def is_matrix(results: Results) -> bool:
    """Whether its folds are the cells of a table, training corpus x test corpus."""
    return all(CELL in row["fold"] for row in results["folds"])


def matrix_rows(folds: Iterable[Results]) -> list[tuple[str, ...]]:
    """The header, then UAR with its interval: training corpora in rows, test corpora in columns."""
    cells = {tuple(row["fold"].split(CELL)): with_interval(row, "uar") for row in folds}
    sources, targets = (sorted({pair[place] for pair in cells}) for place in (0, 1))
    return [("trained on / tested on", *targets), *((source, *(cells.get((source, to), "") for to in targets)) for source in sources)]


def print_matrix(folds: Iterable[Results]) -> None:
    header, *rows = matrix_rows(folds)
    print_table("UAR %", header, rows)


def remarks(results: Results) -> Iterable[str]:
    """What the table alone does not tell."""
    spread = results["by_seed"]["uar"]
    if len(results["seeds"]) > 1:
        yield f"spread over {spread['n']} seeds, UAR: {percent(spread['mean'])} mean, {percent(spread['min'])} to {percent(spread['max'])}"
    folds, every = len(results["folds"]), results["folds_in_all"]
    if results["speaker_independent"]:
        proof = (
            "its certificate proves" if folds == 1 else f"the certificates of {'all' if folds == every else 'these'} {folds} folds prove"
        )
        yield f"speaker-independent: {proof} it"
    elif results["protocol"]["speakers"] == "shared":
        yield "speakers stand on both sides: compare with results of this very protocol only"
    if not results["complete"]:
        yield f"not complete: {folds} of {every} folds{' are here' if folds < every else ', but not with every seed'}"
    if not results["whole_corpora"]:
        yield "the corpora are not complete here: not comparable with the protocol's other results"
    leak = results["leak_delta"]
    if leak is not None:
        interval = leak["interval"]
        between = f" [{percent(interval['low'])}, {percent(interval['high'])}] over {len(leak['folds'])} folds" if interval else ""
        yield (
            f"leakage would have bought {percent(leak['delta'])} points{between}: on random splits of the same sizes the same model has "
            f"{percent(leak['uar_random_splits'])} UAR instead of {percent(leak['uar'])}"
        )
