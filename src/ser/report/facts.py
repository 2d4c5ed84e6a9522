"""Read the files of a finished run, check them against each other, and compute again what can be."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from ser.config import ExperimentConfig
from ser.errors import ArtefactError, DataError, LeakageError
from ser.evaluation.calibration import StoredCalibration, read_calibration
from ser.evaluation.calibration_fit import calibrate
from ser.evaluation.predictions import Predictions, read_predictions
from ser.evaluation.records import Scores
from ser.evaluation.run_scores import RunScores, read_run_scores
from ser.evaluation.scores import score
from ser.runs.compare import stored_config
from ser.runs.history import HISTORY_COLUMNS
from ser.runs.run import Run
from ser.splits.certificate import SPLIT_NAMES, Certificate, Entries, read_certificate
from ser.splits.checks import check_rows, demand_disjoint, speaker_independent
from ser.splits.split import CERTIFICATE_FILE, read_entries
from ser.system.files import read_json
from ser.system.tables import read_table

SAME = 1e-9
"""The largest difference between two computations of one score."""
ALIKE = 1e-4
"""The largest difference between two fits of one temperature or threshold: a fit is less exact than a score."""
WHOLE = 1e-6
"""The largest difference between the sum of an utterance's probabilities and 1."""


@dataclass(frozen=True)
class RunFacts:
    """Everything about a run that needs neither audio nor model."""

    run: Run
    config: ExperimentConfig
    environment: Mapping[str, str]
    """Versions of the packages that it was trained with."""
    outcome: RunScores
    """The scores as the training wrote them."""
    predictions: Mapping[str, Predictions]
    scores: Scores
    """The scores on test, computed again from the predictions."""
    certificate: Certificate
    entries: Entries
    history: Sequence[Mapping[str, float | None]]
    """All epochs, including the best one."""
    calibration: StoredCalibration
    """Fitted again from the predictions on val."""
    calibrated_now: bool
    """The run has no calibration.json."""

    @property
    def test(self) -> Predictions:
        return self.predictions["test"]

    @property
    def name(self) -> str:
        return self.run.folder.resolve().name

    @property
    def chose_with(self) -> list[str]:
        """Corpora that the model was made with: those of train, and those of val, on which epoch and threshold were chosen."""
        return self.corpora("train", "val")

    def corpora(self, *names: str) -> list[str]:
        """The corpora of these of train, val and test."""
        return sorted({entry.corpus for name in names for entry in self.entries[name]})

    @property
    def shared_speakers(self) -> int:
        """Speakers of test who are in train, too."""
        return len(set(self.certificate.splits["train"].speakers) & set(self.certificate.splits["test"].speakers))


def read_facts(folder: Path) -> RunFacts:
    """
    Raises:
        DataError: the folder is not a run, or the run is not finished.
        ArtefactError: a file of it is missing or corrupted, or two files contradict each other.
        LeakageError: its certificate was edited, or does not prove what it declares or what the scores claim.
    """
    run = find_finished(folder)
    config = stored_config(run)
    outcome = read_run_scores(run.metrics)
    certificate, entries = read_split_of(run, outcome)
    predictions = read_predictions_of(run, certificate, entries)
    scores = score(predictions["test"])
    if not alike(scores.uar.value, outcome.uar.value, SAME):
        raise ArtefactError(f"{run.predictions} gives another UAR than {run.metrics}: one of them was changed after the run")
    return RunFacts(
        run=run,
        config=config,
        environment=environment_of(run),
        outcome=outcome,
        predictions=predictions,
        scores=scores,
        certificate=certificate,
        entries=entries,
        history=read_history(run, outcome.best_epoch, with_val=bool(entries["val"])),
        calibration=calibration_of(run, predictions, config, outcome),
        calibrated_now=not run.calibration.is_file(),
    )


def find_finished(folder: Path) -> Run:
    run = Run(folder)
    if not run.config.is_file():
        raise DataError(f"{folder} is not a run: it has no {run.config.name}")
    if not run.metrics.is_file():
        raise DataError(f"{folder} is not finished, so there is nothing to report: continue it with --resume")
    for path in (run.predictions, run.history, run.split / CERTIFICATE_FILE, *(run.split / f"{name}.csv" for name in SPLIT_NAMES)):
        if not path.is_file():
            raise ArtefactError(f"{folder} has no {path.relative_to(folder)}, which a finished run has")
    return run


def environment_of(run: Run) -> dict[str, str]:
    found = read_json(run.config).get("environment")
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def read_split_of(run: Run, outcome: RunScores) -> tuple[Certificate, Entries]:
    """The run's own copy of its split, checked against its certificate, and the certificate against the scores."""
    certificate = read_certificate(run.split / CERTIFICATE_FILE)
    entries = {name: read_entries(run.split / f"{name}.csv") for name in SPLIT_NAMES}
    for name in SPLIT_NAMES:
        check_rows(certificate.splits[name], name, entries[name])
    check_promise(certificate)
    if certificate.digest != outcome.certificate:
        raise LeakageError(f"{run.metrics} was measured under another certificate than that of {run.split}")
    if outcome.speaker_independent and not speaker_independent(certificate):
        raise LeakageError(f"{run.metrics} claims what the certificate in {run.split} does not prove")
    return certificate, entries


def check_promise(certificate: Certificate) -> None:
    """Check that the clips, samples and speakers in the certificate are as it declares.

    Raises:
        LeakageError: they are not.
    """
    splits, kind = certificate.splits, certificate.kind
    demand_disjoint("clips", {name: set(part.samples) for name, part in splits.items()}, kind)
    if kind != "none":
        demand_disjoint("samples", {name: set(part.samples.values()) for name, part in splits.items()}, kind)
    if kind == "speaker-disjoint":
        demand_disjoint("speakers", {name: set(part.speakers) for name, part in splits.items()}, kind)


def read_predictions_of(run: Run, certificate: Certificate, entries: Entries) -> dict[str, Predictions]:
    """The predictions for exactly the certified utterances, with the certified corpus, speaker and truth of each."""
    predictions = read_predictions(run.predictions)
    for name in ("val", "test"):
        found = predictions.get(name)
        if {entry.id for entry in entries[name]} != set(found.ids if found else ()):
            raise ArtefactError(f"{run.predictions} does not hold the utterances of {name} that the run's certificate lists")
        if found is None:
            continue
        if found.classes != certificate.classes:
            raise ArtefactError(f"{run.predictions} has other classes than the run's certificate")
        rows = zip(found.ids, found.corpora, found.speakers, found.truth.tolist(), strict=True)
        if wrong := set(rows) - {(entry.id, entry.corpus, entry.speaker, entry.label) for entry in entries[name]}:
            raise ArtefactError(f"{run.predictions} names another corpus, speaker or truth of {min(wrong)[0]} than {run.split}")
        check_probabilities(run, found)
    return predictions


def check_probabilities(run: Run, found: Predictions) -> None:
    """
    Raises:
        ArtefactError: a probability is negative, or those of an utterance do not sum to 1.
    """
    wrong = (found.probabilities < 0).any(axis=1) | (np.abs(found.probabilities.sum(axis=1) - 1) > WHOLE)
    if wrong.any():
        raise ArtefactError(f"the probabilities of {found.ids[int(wrong.argmax())]} in {run.predictions} do not sum to 1")


def read_history(run: Run, best_epoch: int, *, with_val: bool) -> list[dict[str, float | None]]:
    """The rows of history.csv; the columns of val are None if there was no val.

    Raises:
        ArtefactError: a cell is empty or not a finite number, or the best epoch is missing.
    """
    absent = {name for name in HISTORY_COLUMNS if name.startswith("val_") and not with_val}
    rows = [{name: None if name in absent else row[name] for name in HISTORY_COLUMNS} for row in read_table(run.history, HISTORY_COLUMNS)]
    try:
        history = [{name: None if cell is None else float(cell) for name, cell in row.items()} for row in rows]
    except ValueError as error:
        raise ArtefactError(f"{run.history} is corrupted ({error})") from None
    if any(value is not None and not math.isfinite(value) for row in history for value in row.values()):
        raise ArtefactError(f"{run.history} is corrupted: a value is not finite")
    if best_epoch not in [row["epoch"] for row in history]:
        raise ArtefactError(f"{run.history} is corrupted: the best epoch, {best_epoch}, is missing")
    return history


def calibration_of(run: Run, predictions: Mapping[str, Predictions], config: ExperimentConfig, outcome: RunScores) -> StoredCalibration:
    """The calibration fitted on val once more, with its effect on val and test.

    Raises:
        ArtefactError: calibration.json is corrupted, or belongs to another run.
    """
    stored = read_calibration(run.calibration) if run.calibration.is_file() else None
    wanted = config.calibration if stored is None else config.calibration.model_copy(update={"max_error": stored.max_error})
    fitted = calibrate(predictions.get("val"), predictions["test"], wanted)
    if stored is not None:
        weights = read_json(run.calibration).get("weights") or outcome.weights  # not in older files
        same = alike(stored.temperature, fitted.temperature) and alike(stored.threshold, fitted.threshold)
        if weights != outcome.weights or not same:
            raise ArtefactError(f"{run.calibration} belongs to another run: {run.predictions} gives another temperature or threshold")
    return fitted


def alike(one: float | None, other: float | None, within: float = ALIKE) -> bool:
    """
    >>> alike(1.5, 1.50001), alike(1.5, None), alike(None, None)
    (True, False, True)
    """
    return one is other if one is None or other is None else abs(one - other) <= within
