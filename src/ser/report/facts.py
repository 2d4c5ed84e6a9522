"""What a finished run says of itself, read back, checked against each other, and computed again where it can be."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from ser.calibration import Calibration, calibrate, read_calibration
from ser.certificate import SPLIT_NAMES, Certificate, Entries, check_rows, read_certificate, speaker_independent
from ser.config import ExperimentConfig
from ser.errors import ArtefactError, DataError, LeakageError
from ser.evaluation import score
from ser.files import read_json
from ser.predictions import Predictions, read_predictions
from ser.runs import HISTORY_COLUMNS, Run, stored_config
from ser.splits import CERTIFICATE_FILE, read_entries
from ser.tables import read_table

SAME = 1e-9
"""Two computations of one score."""


class Judged(BaseModel):
    """Scores of people, shares; `n` answers or clips where they are told."""

    uar: float | None
    wa: float | None
    n: int | None = None


class Human(BaseModel):
    """As of `ser.perception.human_scores`."""

    answers: int
    single: Judged
    plurality: Judged
    ceiling: Judged


class Perceived(Judged):
    """As of `ser.perception.perceived_scores`."""

    clips: int
    intervals: dict[str, dict[str, Any]]
    cross_entropy: float | None
    entropy: float | None
    human: Human


class Outcome(BaseModel):
    """What of test_metrics.json is not computed from the predictions."""

    uar: float
    best_epoch: int
    epochs: int
    selection: str
    speaker_independent: bool
    certificate: str
    weights: str
    seed: int
    ran_on: dict[str, Any] = {}
    ssl_layer_weights: dict[str, float] | None = None
    perceived: Perceived | None = None


@dataclass(frozen=True)
class RunFacts:
    """Everything about a run that needs neither audio nor model."""

    run: Run
    config: ExperimentConfig
    environment: Mapping[str, str]
    """Versions that it was trained with."""
    finished: datetime
    """When its scores were written, UTC."""
    outcome: Outcome
    predictions: Mapping[str, Predictions]
    scores: Mapping[str, Any]
    """Of test, as `ser.evaluation.score` computes them from the predictions."""
    certificate: Certificate
    entries: Entries
    history: Sequence[Mapping[str, float | None]]
    calibration: Calibration
    calibrated_now: bool
    """The run has no calibration.json, so it was fitted again from the predictions on val."""
    calibration_effect: Mapping[str, Any]
    """On `val` (None where there is none) and `test`: quality before and after, share that is answered, share of errors among them."""

    @property
    def test(self) -> Predictions:
        return self.predictions["test"]

    @property
    def name(self) -> str:
        return self.run.folder.resolve().name

    @property
    def corpora(self) -> list[str]:
        """In training."""
        return sorted({entry.corpus for entry in self.entries["train"]})

    @property
    def shared_speakers(self) -> int:
        """Speakers of test whom training has heard too."""
        return len(set(self.certificate.splits["train"].speakers) & set(self.certificate.splits["test"].speakers))


def read_facts(folder: Path) -> RunFacts:
    """
    Raises:
        DataError: the folder is no run, or one that is not finished.
        ArtefactError: a file of it is missing or damaged, or two of them do not fit together.
        LeakageError: its certificate was edited, or does not prove what the scores claim.
    """
    run = find_finished(folder)
    config = stored_config(run)
    outcome = read_outcome(run)
    certificate, entries = read_split_of(run, outcome)
    predictions = read_predictions_of(run, certificate)
    scores = score(predictions["test"])
    if abs(scores["uar"] - outcome.uar) > SAME:
        raise ArtefactError(f"{run.predictions} gives another UAR than {run.metrics}: one of them was changed since the run")
    calibration, now, effect = calibration_of(run, predictions, config)
    return RunFacts(
        run=run,
        config=config,
        environment=environment_of(run),
        finished=datetime.fromtimestamp(int(run.metrics.stat().st_mtime), UTC),
        outcome=outcome,
        predictions=predictions,
        scores=scores,
        certificate=certificate,
        entries=entries,
        history=read_history(run),
        calibration=calibration,
        calibrated_now=now,
        calibration_effect=effect,
    )


def find_finished(folder: Path) -> Run:
    run = Run(folder)
    if not run.config.is_file():
        raise DataError(f"{folder} is no run: it holds no {run.config.name}")
    if not run.metrics.is_file():
        raise DataError(f"{folder} is not finished, so there is nothing to report: go on with --resume")
    for path in (run.predictions, run.history, run.split / CERTIFICATE_FILE, *(run.split / f"{name}.csv" for name in SPLIT_NAMES)):
        if not path.is_file():
            raise ArtefactError(f"{folder} lacks {path.relative_to(folder)}, which a finished run holds")
    return run


def read_outcome(run: Run) -> Outcome:
    try:
        return Outcome.model_validate(read_json(run.metrics))
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtefactError(f"{run.metrics} holds no scores of this program ({'.'.join(map(str, first['loc']))}: {first['msg']})") from None


def environment_of(run: Run) -> dict[str, str]:
    found = read_json(run.config).get("environment")
    return {str(name): str(version) for name, version in found.items()} if isinstance(found, dict) else {}


def read_split_of(run: Run, outcome: Outcome) -> tuple[Certificate, Entries]:
    """The run's own copy of its split, held against its certificate, and the certificate against the scores."""
    certificate = read_certificate(run.split / CERTIFICATE_FILE)
    entries = {name: read_entries(run.split / f"{name}.csv") for name in SPLIT_NAMES}
    for name in SPLIT_NAMES:
        check_rows(certificate.splits[name], name, entries[name])
    if certificate.digest != outcome.certificate:
        raise LeakageError(f"{run.metrics} was measured under another certificate than that of {run.split}")
    if outcome.speaker_independent and not speaker_independent(certificate):
        raise LeakageError(f"{run.metrics} claims what the certificate in {run.split} does not prove")
    return certificate, entries


def read_predictions_of(run: Run, certificate: Certificate) -> dict[str, Predictions]:
    """Of exactly the utterances that were certified."""
    predictions = read_predictions(run.predictions)
    for name in ("val", "test"):
        expected, found = certificate.splits[name].samples.keys(), predictions[name].ids if name in predictions else ()
        if set(expected) != set(found):
            raise ArtefactError(f"{run.predictions} does not hold the utterances of {name} that the run's certificate lists")
        if found and predictions[name].classes != certificate.classes:
            raise ArtefactError(f"{run.predictions} has other classes than the run's certificate")
    return predictions


def read_history(run: Run) -> list[dict[str, float | None]]:
    """The rows of history.csv; None where there was no val."""
    try:
        return [
            {name: float(row[name]) if row[name] else None for name in HISTORY_COLUMNS} for row in read_table(run.history, HISTORY_COLUMNS)
        ]
    except ValueError as error:
        raise ArtefactError(f"{run.history} is damaged ({error})") from None


def calibration_of(run: Run, predictions: Mapping[str, Predictions], config: ExperimentConfig) -> tuple[Calibration, bool, dict[str, Any]]:
    """What the run stored, or, of a run made before there was such a file, what it would have stored; and what it does on val and test."""
    content = calibrate(predictions.get("val"), predictions["test"], config.calibration)
    if not run.calibration.is_file():
        return Calibration.model_validate({name: content[name] for name in Calibration.model_fields}), True, content
    return read_calibration(run.calibration), False, read_json(run.calibration)
