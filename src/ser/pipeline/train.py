"""The train step: fit a model, evaluate it once on the test split with the best weights, and write everything to the run's folder."""

import logging
from collections.abc import Sequence
from dataclasses import asdict

from ser import __version__
from ser.config import ExperimentConfig
from ser.corpora.licences import voted_corpora
from ser.errors import ArtefactError, DataError
from ser.evaluation.calibration import StoredCalibration, write_calibration
from ser.evaluation.calibration_fit import calibrate
from ser.evaluation.classification_report import write_classification_report
from ser.evaluation.gates import GateSummary, summarise_gates
from ser.evaluation.perception import Perceived, perceived_scores
from ser.evaluation.predictions import Predictions, write_predictions
from ser.evaluation.records import Scores, size_cells
from ser.evaluation.run_scores import RunScores, SplitRule, read_run_scores
from ser.evaluation.scores import score, write_confusion_matrix
from ser.features.registry import backbone_of, get_family
from ser.models.registry import build_model
from ser.models.ssl_spectral_moe import SslSpectralMoe
from ser.pipeline.load import Loaded, read_loaded, write_normalisers
from ser.runs.attention import write_attention
from ser.runs.checkpoint import digest, fitting, load_checkpoint
from ser.runs.create import create_run
from ser.runs.find import find_run
from ser.runs.run import Run
from ser.splits.certificate import Certificate, Entry, write_certificate
from ser.splits.checks import record_statistic, speaker_independent
from ser.splits.split import CERTIFICATE_FILE, write_split
from ser.system.console import print_table, say
from ser.system.device import prepare_process
from ser.system.files import exclusive_lock, remove_leftovers, write_json
from ser.system.launcher import refuse_several_processes
from ser.system.memory import memory_errors
from ser.training.predict_split import Outputs, predict_dataset
from ser.training.tracking import check_installed
from ser.training.trainer import Progress, Trainer
from ser.wording import percent

log = logging.getLogger(__name__)


@memory_errors("lower train.batch_size, or audio.duration", detail=True)
def train(config: ExperimentConfig, run_name: str | None = None, resume: bool = False) -> Run:
    """Train, select the epoch on val, measure on test.

    Raises:
        ConfigError: a run of that name exists; the run to resume has another config; the device or an extra is not available; this process
            is one of several.
        DataError: an earlier step has not run for this config, or not since it changed; the loss is not finite; there is nothing to
            resume; the device is out of memory.
        ArtefactError: the store, the run to resume or its checkpoint is corrupted, or has another network.
        LeakageError: the certificate is not valid.
        LockedError: another process is training this run.
    """
    import torch

    refuse_several_processes()
    check_installed(config.tracking)
    prepare_process(config.runtime)
    resumed = find_run(config, run_name) if resume else None
    loaded = read_loaded(config)
    torch.manual_seed(config.project.seed)
    trainer = make_trainer(config, loaded)
    run = resumed or create_run(config, run_name)  # created only now, so that a failure before leaves no folder
    with exclusive_lock(run.lock):
        remove_leftovers(run.folder)
        if run.metrics.exists():
            log.warning("%s is finished: nothing to resume", run.folder)
            show_again(run)
            return run
        if resume:
            trainer.resume(run)
        copy_split(loaded, run)
        progress = trainer.fit(run)
        scores = measure(config, loaded, run, trainer, progress)
    print_scores(scores)
    print_perceived(scores.perceived)
    say(f"best epoch {progress.best_epoch} of {progress.epoch}; results: {run.folder}")
    return run


def show_again(run: Run) -> None:
    """
    Raises:
        ArtefactError: the scores of the finished run are corrupted, or not written by this program.
    """
    try:
        scores = read_run_scores(run.metrics)
    except ArtefactError as error:
        raise ArtefactError(f"{error}: remove it and --resume to measure again") from None
    print_scores(scores)


def print_perceived(found: Perceived | None) -> None:
    """If there are votes, print one line that compares the model with the listeners' votes, and with a single listener."""
    if found and found.n and found.human.ceiling.n:
        ceiling = found.human.ceiling
        model = f"UAR {percent(found.uar.value)}% WA {percent(found.wa.value)}%"
        human = f"UAR {percent(ceiling.uar)}% WA {percent(ceiling.wa)}%"
        say(f"against the votes of listeners on {found.n} clips of {voted_corpora()}: {model}; one listener against the others: {human}")


def copy_split(loaded: Loaded, run: Run) -> None:
    """Copy the split, certificate and normaliser into the run, which keeps them if a later extract changes the common ones."""
    remove_leftovers(run.split)
    write_split(run.split, loaded.split)
    write_normalisers(run.split / "normaliser.json", loaded)


def make_trainer(config: ExperimentConfig, loaded: Loaded) -> Trainer:
    """
    Raises:
        DataError: the train split is empty, or the targets are votes and there are none.
    """
    import torch

    datasets = {name: loaded.dataset(config, name) for name in ("train", "val")}
    if datasets["train"] is None:
        raise DataError("the train split is empty")
    if datasets["val"] is None and config.protocol.name is None:  # a protocol states this itself
        log.warning("no speaker is left for validation: the number of epochs comes from the config, and the last one counts")
    model = build_model(config.model, loaded.source.shapes, len(loaded.split.classes))
    about = header(config, loaded)
    if datasets["train"].targets is not None:  # the certificate alone no longer identifies the training targets
        about["targets"] = digest(torch.from_numpy(datasets["train"].targets))
    return Trainer(model, datasets["train"], datasets["val"], config, len(loaded.split.classes), about)


def header(config: ExperimentConfig, loaded: Loaded) -> dict[str, object]:
    """The description of the model in a checkpoint, with everything that a prediction needs without cfg.json."""
    import torch

    originals = [group.stores[0] for group in loaded.source.groups.values()]
    return {
        "ser_version": __version__,
        "model": config.model.model_dump(mode="json"),
        "audio": config.audio.model_dump(mode="json"),
        "extractors": {store.spec.name: store.spec.to_json() for store in originals},
        "shapes": {name: asdict(shape) for name, shape in loaded.source.shapes.items()},
        "classes": list(loaded.split.classes),
        "corpora": sorted({entry.corpus for entry in loaded.split.splits["train"]}),
        "backbone": backbone_of(config),  # the first place to look for it; its identity is in the store
        "certificate": loaded.split.certificate.split_digest,
        "normalisers": {
            name: {"mean": torch.from_numpy(normaliser.mean), "deviation": torch.from_numpy(normaliser.deviation)}
            for name, normaliser in loaded.normalisers.items()
        },
    }


def measure(config: ExperimentConfig, loaded: Loaded, run: Run, trainer: Trainer, progress: Progress) -> RunScores:
    """Evaluate the best weights on the test split, once. test_metrics.json is written last: with it the run is finished.

    The probabilities in predictions.csv are those of the network, not calibrated; calibration.json holds the parameters that convert them
    to confidences.
    """
    best = load_checkpoint(run.best)
    with fitting(run.best):
        trainer.model.load_state_dict(best["weights"])
    outputs = predict_splits(loaded, config, trainer)
    split = loaded.split
    predictions = {name: predictions_of(config, split.splits[name], split.classes, output) for name, output in outputs.items()}
    test, weights = predictions["test"], digest(best["weights"])
    calibration = calibrate(predictions.get("val"), test, config.calibration, weights)
    certificate = record_fits(loaded, calibration)
    scores = RunScores(
        **dict(score(test)),
        best_epoch=progress.best_epoch,
        epochs=progress.epoch,
        selection=selection(certificate),
        protocol=SplitRule(split=certificate.name, rule=certificate.rule, seed=certificate.seed, kind=certificate.kind),
        speaker_independent=speaker_independent(certificate),
        certificate=certificate.digest,
        weights=weights,
        seed=config.project.seed,
        ran_on=trainer.ran_on,
        gates=gate_summary(test),
        ssl_layer_weights=layer_weights(loaded, trainer),
        calibration=calibration.on_test,
        perceived=perceived_scores(test, loaded.votes, certificate.labels),
    )
    write_predictions(run.predictions, predictions)
    write_attention(
        run.attention, {name: part.ids for name, part in predictions.items()}, {name: output.attention for name, output in outputs.items()}
    )
    write_confusion_matrix(run.confusion, test.confusion, loaded.split.classes)
    write_classification_report(run.classification_report, test)
    write_certificate(run.split / CERTIFICATE_FILE, certificate)
    write_calibration(run.calibration, calibration)
    write_json(run.metrics, scores.to_json())
    return scores


def predict_splits(loaded: Loaded, config: ExperimentConfig, trainer: Trainer) -> dict[str, Outputs]:
    """The predictions on val, if there is one, and on test.

    Raises:
        DataError: the test split is empty.
    """
    datasets = {name: loaded.dataset(config, name) for name in ("val", "test")}
    if datasets["test"] is None:
        raise DataError("the test split is empty: there is nothing to measure")
    return {name: predict_dataset(trainer.model, dataset, trainer.device) for name, dataset in datasets.items() if dataset is not None}


def predictions_of(config: ExperimentConfig, entries: Sequence[Entry], classes: tuple[str, ...], outputs: Outputs) -> Predictions:
    """The outputs for the rows of a split, with their true emotions."""
    gates = {} if outputs.gates is None else dict(zip(config.model.features, outputs.gates.T, strict=True))
    return Predictions.from_entries(entries, outputs.probabilities, classes, gates)


def record_fits(loaded: Loaded, calibration: StoredCalibration) -> Certificate:
    """Record in the run's certificate what was fitted on val; the certificate of the common split is not changed."""
    certificate = loaded.split.certificate
    for what, value in (("temperature", calibration.temperature), ("thresholds", calibration.threshold)):
        if value is not None:
            certificate = record_statistic(certificate, what, "val", loaded.split.ids("val"))
    return certificate


def selection(certificate: Certificate) -> str:
    """The rule by which the epoch was chosen."""
    by_val = certificate.splits["val"].n > 0
    return "highest val UAR" if by_val else "last epoch, as configured: no speaker was left for validation"


def gate_summary(test: Predictions) -> GateSummary | None:
    """The use of the experts on test; None for a model without experts."""
    if len(test.gates) < 2:
        return None
    gates = summarise_gates(test)
    if gates.collapsed_onto:
        log.warning("the gate has collapsed onto %s: the other experts have almost no weight", gates.collapsed_onto)
    return gates


def layer_weights(loaded: Loaded, trainer: Trainer) -> dict[str, float] | None:
    """The weights of the backbone's hidden states; None for a model without a backbone."""
    weights = trainer.model.layer_weights() if isinstance(trainer.model, SslSpectralMoe) else None
    if weights is None:
        return None
    stores = next(stores for name, stores in loaded.source.groups.items() if get_family(name).runs_backbone)
    states = stores.stores[0].spec.layers
    return {str(state): weight for state, weight in zip(states, weights, strict=True)}


def print_scores(scores: Scores) -> None:
    """Print UAR, WA and macro-F1 in per cent, overall, for each corpus and as the mean over corpora."""
    rows = [(name, *size_cells(part), *(estimate.in_percent() for estimate in part.by_metric().values())) for name, part in scores.parts()]
    print_table("test, % with 95 % interval over speakers (none under five)", ("", "clips", "speakers", "UAR", "WA", "macro-F1"), rows)
