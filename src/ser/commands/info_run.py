"""The description of a run for `ser info`, without loading its weights."""

from ser.commands.info_exported import EXPORTED, Facts
from ser.corpora.licences import model_licence
from ser.errors import DataError
from ser.evaluation.run_scores import RunScores, read_run_scores
from ser.runs.compare import stored_config
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.splits.split import CERTIFICATE_FILE


def run_facts(run: Run) -> Facts:
    """The description of a run; it has no scores until it is finished."""
    if not run.config.is_file():
        raise DataError(f"{run.folder} is not the folder of a run: it has no {run.config.name}")
    config = stored_config(run)
    facts: Facts = {
        "kind": "run" if run.metrics.is_file() else "unfinished run",
        "path": str(run.folder),
        "family": config.model.name,
        "features": list(config.model.features),
        "sample_rate": config.audio.sampling_rate,
    }
    if (run.split / CERTIFICATE_FILE).is_file():
        certificate = read_certificate(run.split / CERTIFICATE_FILE)
        corpora = sorted({speaker.partition("/")[0] for part in certificate.splits.values() for speaker in part.speakers})
        facts |= {
            "classes": list(certificate.classes),
            "corpora": corpora,
            "licence": model_licence(corpora),
            "split": f"{certificate.name} ({certificate.kind})",
            "certificate": certificate.split_digest,
        }
    if run.metrics.is_file():
        facts |= score_facts(read_run_scores(run.metrics))
    sizes = {path.name: path.stat().st_size for path in sorted(run.folder.glob("*")) if path.suffix in {".pth", EXPORTED}}
    return {**facts, "bytes": sizes}


def score_facts(scores: RunScores) -> Facts:
    """The scores on test, 0 to 1, with their intervals."""
    estimates = {name: {"value": each.value, "low": each.low, "high": each.high} for name, each in scores.by_metric().items()}
    return {
        "scores": estimates,
        "test_clips": scores.n,
        "test_speakers": scores.speakers,
        "speaker_independent": scores.speaker_independent,
        "best_epoch": scores.best_epoch,
        "threshold": scores.calibration.threshold if scores.calibration else None,
        "weights": scores.weights,
    }
