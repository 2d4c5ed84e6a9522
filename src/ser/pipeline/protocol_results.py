"""Write predictions.csv and protocol.json from the finished folds of a protocol."""

import math
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from pydantic import ValidationError
from scipy import stats

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, DataError
from ser.evaluation.folds import SeedSpread, fold_scores, seed_spread
from ser.evaluation.intervals import MIN_SPEAKERS
from ser.evaluation.metrics import METRICS, Floats
from ser.evaluation.predictions import Predictions, read_predictions, write_protocol_predictions
from ser.evaluation.protocol_scores import FoldRow, FoldRun, FoldsInterval, LeakDelta, ModelFacts, ProtocolFacts, ProtocolScores, SeedParts
from ser.evaluation.run_scores import RunScores
from ser.evaluation.scores import pooled_scores, score
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.splits.checks import speaker_independent
from ser.splits.protocols import Fold, Protocol
from ser.splits.split import CERTIFICATE_FILE, Split
from ser.system.files import read_json, write_json


@dataclass(frozen=True)
class Finished:
    """One finished run of a fold with one seed."""

    fold: Fold
    seed: int
    leaky: bool
    run: Run
    split: Split
    scores: RunScores
    independent: bool
    """Whether the run's certificate proves that no speaker of test is in train or val."""
    stores: object
    """Fingerprints of the feature stores that the run was trained on."""

    @classmethod
    def read(cls, fold: Fold, seed: int, leaky: bool, run: Run, split: Split) -> "Finished":
        """
        Raises:
            ArtefactError: scores or certificate are corrupted.
        """
        certificate = read_certificate(run.split / CERTIFICATE_FILE)
        whole = f"the scores in {run.folder} are incomplete or of another program: remove it to train the fold again"
        try:
            scores = RunScores.from_json(read_json(run.metrics))
            stores = read_json(run.split / "normaliser.json")["stores"]
        except (ValidationError, KeyError, TypeError):
            raise ArtefactError(whole) from None
        if any(estimate.value is None for estimate in scores.by_metric().values()):
            raise ArtefactError(whole)
        return cls(fold, seed, leaky, run, split, scores, speaker_independent(certificate), stores)

    def predictions(self) -> Predictions:
        """The predictions for the test part.

        Raises:
            ArtefactError: the table is corrupted, or its clips are not those of the certificate.
        """
        found = read_predictions(self.run.predictions).get("test")
        entries = self.split.splits["test"]
        certified = [(entry.id, entry.corpus, entry.speaker, entry.emotion) for entry in entries]
        if found is None or certified != rows_of(found):
            raise ArtefactError(
                f"the clips in {self.run.predictions} are not the test clips of the fold: remove {self.run.folder} to train the fold again"
            )
        return found


def rows_of(found: Predictions) -> list[tuple[str, str, str, str]]:
    """The id, corpus, speaker and truth of every row."""
    truths = [found.classes[label] for label in found.truth]
    return list(zip(found.ids, found.corpora, found.speakers, truths, strict=True))


def write_results(folder: Path, protocol: Protocol, config: ExperimentConfig, finished: Sequence[Finished]) -> ProtocolScores:
    """Write predictions.csv, then protocol.json, and return the content of the latter.

    Raises:
        DataError: no fold is finished.
        ArtefactError: the predictions of a run are corrupted.
    """
    honest = by_fold([run for run in finished if not run.leaky])
    if not honest:
        raise DataError(f"no fold of {protocol.name} is finished, so there are no results")
    predictions = {name: {run.seed: run.predictions() for run in runs} for name, runs in honest.items()}
    seeds = config.protocol.seeds
    # only seeds that all folds have are used: otherwise their means would cover different folds
    whole = [seed for seed in seeds if all(seed in tables for tables in predictions.values())] or [seeds[0]]
    shared = {name: [tables[seed] for seed in whole if seed in tables] for name, tables in predictions.items()}
    scores = fold_scores({name: tables for name, tables in shared.items() if tables})
    results = ProtocolScores(
        protocol=ProtocolFacts.from_json(protocol.model_dump(mode="json", exclude={"folds"})),
        model=ModelFacts(name=config.model.name, features=tuple(config.model.features)),
        train=config.train.model_dump(mode="json"),
        augmented_copies=config.augmentations.copies,
        seeds=tuple(seeds),
        folds_in_all=len(protocol.folds),
        complete=len(honest) == len(protocol.folds) and all(len(runs) == len(seeds) for runs in honest.values()),
        whole_corpora=all(run.fold.counts.model_dump() == sizes(run.split) for run in finished),
        speaker_independent=all(run.independent for runs in honest.values() for run in runs),
        folds=tuple(fold_row(runs, predictions[name]) for name, runs in honest.items()),
        mean_over_folds=scores.mean_over_folds,
        pooled=scores.pooled,
        by_seed=by_seed(shared, whole),
        parts=tuple(parts(shared, whole)),
        leak_delta=leak_delta(honest, by_fold([run for run in finished if run.leaky])),
    )
    write_protocol_predictions(folder / "predictions.csv", predictions)
    write_json(folder / "protocol.json", results.to_json())
    return results


def by_fold(finished: Sequence[Finished]) -> dict[str, list[Finished]]:
    folds: dict[str, list[Finished]] = defaultdict(list)
    for run in finished:
        folds[run.fold.name].append(run)
    return dict(folds)


def sizes(split: Split) -> dict[str, int]:
    return {name: len(rows) for name, rows in split.splits.items()}


def fold_row(finished: Sequence[Finished], predictions: Mapping[int, Predictions]) -> FoldRow:
    """The counts of a fold and its scores over all its seeds."""
    first = finished[0]
    parts = first.split.certificate.splits
    return FoldRow(
        fold=first.fold.name,
        corpora=tuple(first.fold.corpora),
        classes=tuple(first.split.classes),
        clips=sizes(first.split),
        expected=first.fold.counts.model_dump(),
        published=first.fold.published.model_dump() if first.fold.published else None,
        train_speakers=len(parts["train"].speakers),
        test_speakers=tuple(parts["test"].speakers),
        speaker_independent=all(run.independent for run in finished),
        scores=pooled_scores([predictions[run.seed] for run in finished]),
        runs=tuple(fold_run(run) for run in finished),
    )


def fold_run(finished: Finished) -> FoldRun:
    """One training of a fold."""
    scores = finished.scores
    return FoldRun(
        seed=finished.seed,
        run=finished.run.folder.name,
        uar=scores.uar.value,
        wa=scores.wa.value,
        macro_f1=scores.macro_f1.value,
        n=scores.n,
        best_epoch=scores.best_epoch,
        epochs=scores.epochs,
        selection=scores.selection,
        certificate=scores.certificate,
    )


def by_seed(shared: Mapping[str, Sequence[Predictions]], seeds: Sequence[int]) -> dict[str, SeedSpread]:
    """The mean over folds for each seed, and the spread of the seeds."""
    means = []
    for place in range(len(seeds)):
        one_seed = {name: [tables[place]] for name, tables in shared.items() if len(tables) > place}
        means.append(fold_scores(one_seed).mean_over_folds.by_metric())
    return {metric: seed_spread([defined(mean[metric].value) for mean in means]) for metric in METRICS}


def parts(shared: Mapping[str, Sequence[Predictions]], seeds: Sequence[int]) -> list[SeedParts]:
    """For each seed the scores of each class, corpus, gender and speaker over all folds; empty if folds differ in classes, or if an
    utterance is tested in several folds."""
    found = []
    for place, seed in enumerate(seeds):
        tables = [seeds_of_fold[place] for seeds_of_fold in shared.values() if len(seeds_of_fold) > place]
        ids = [utterance for table in tables for utterance in table.ids]
        if len({table.classes for table in tables}) == 1 and len(set(ids)) == len(ids):
            scores = score(joined(tables))
            found.append(
                SeedParts(
                    seed=seed,
                    per_class=scores.per_class,
                    per_corpus=scores.per_corpus,
                    per_gender=scores.per_gender,
                    per_speaker=scores.per_speaker,
                )
            )
    return found


def joined(tables: Sequence[Predictions]) -> Predictions:
    """Concatenate predictions, without gates, which no score uses."""
    return Predictions(
        ids=[utterance for table in tables for utterance in table.ids],
        corpora=[corpus for table in tables for corpus in table.corpora],
        speakers=[speaker for table in tables for speaker in table.speakers],
        truth=np.concatenate([table.truth for table in tables]),
        probabilities=np.concatenate([table.probabilities for table in tables]),
        classes=tables[0].classes,
    )


def leak_delta(honest: Mapping[str, Sequence[Finished]], leaky: Mapping[str, Sequence[Finished]]) -> LeakDelta | None:
    """The effect of leakage; None if no random split was trained.

    The value of a fold is the mean over the seeds that both sides have; the interval is Student's t over folds, for five folds or more.
    """
    pairs = {name: common_seeds(runs, leaky[name]) for name, runs in honest.items() if name in leaky}
    folds = [name for name, (own, _) in pairs.items() if own]
    if not folds:
        return None
    own, random = (np.array([np.mean(pairs[name][side]) for name in folds]) for side in (0, 1))
    difference = random - own
    return LeakDelta(
        folds=tuple(folds),
        uar=float(own.mean()),
        uar_random_splits=float(random.mean()),
        delta=float(difference.mean()),
        interval=interval_over_folds(difference) if len(folds) >= MIN_SPEAKERS else None,
    )


def interval_over_folds(difference: Floats) -> FoldsInterval:
    """The 95 % interval of the mean of (folds,)."""
    half = stats.t.ppf(0.975, len(difference) - 1) * difference.std(ddof=1) / np.sqrt(len(difference))
    mean = difference.mean()
    return FoldsInterval(low=float(mean - half), high=float(mean + half), method="Student's t over folds")


def common_seeds(own: Sequence[Finished], random: Sequence[Finished]) -> tuple[list[float], list[float]]:
    """The UAR of each seed that both have."""
    one, other = ({run.seed: defined(run.scores.uar.value) for run in side} for side in (own, random))
    seeds = sorted(one.keys() & other.keys())
    return [one[seed] for seed in seeds], [other[seed] for seed in seeds]


def defined(value: float | None) -> float:
    """A score of a fold that has test clips."""
    return math.nan if value is None else value
