"""`ser protocol`: train every fold of a named protocol with every seed, measure it, and print one table.

    runs/protocols/<protocol>-v<version>/<model>-<key>/
        <fold>-seed<n>/            a run like any other, with its own copy of split, certificate and normaliser
        <fold>-seed<n>-leaky/      the same on a random split of the same sizes (--leak-delta)
        predictions.csv            of every fold and seed
        protocol.json              the scores, with the facts needed to trust them; written last

<key> is a digest of the settings, so a finished fold is never trained twice and never mistaken for one with other settings. The features of
a clip are computed once for all folds.
"""

import logging
import time
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from typing import TypeVar

from ser.config import ExperimentConfig, SplitConfig
from ser.corpora.census import SKIPPED_COLUMNS, Skipped
from ser.corpora.manifest import Manifest, read_manifest
from ser.errors import ConfigError, DataError, LockedError, SerError
from ser.pipeline import paths
from ser.pipeline.extract import index, skipped_ids
from ser.pipeline.extras import check_extras
from ser.pipeline.load import load
from ser.pipeline.protocol_results import Finished, write_results
from ser.pipeline.protocol_table import print_results
from ser.pipeline.train import train
from ser.pipeline.transform import transform
from ser.runs.checkpoint import first_line
from ser.runs.compare import MAY_DIFFER, differences
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.splits.draw import drawing_key
from ser.splits.protocols import Fold, Protocol, find_protocol
from ser.splits.split import CERTIFICATE_FILE, Split, make_split, read_split, write_split
from ser.system.console import say
from ser.system.files import digest_json, exclusive_lock, remove_leftovers
from ser.system.launcher import refuse_several_processes
from ser.system.tables import read_table
from ser.wording import percent

log = logging.getLogger(__name__)

Argument = TypeVar("Argument")

NOT_IN_KEY = {*MAY_DIFFER, "split", "labels"}
"""Sections of a config that do not affect predictions, or that the protocol sets itself."""
WAIT_SECONDS = 5.0
"""Seconds between two checks whether another process is still writing to the processed folder."""


@dataclass(frozen=True)
class Job:
    """One fold to be trained with every seed, on its own split or on a random one of the same sizes."""

    protocol: Protocol
    fold: Fold
    split: Split
    config: ExperimentConfig
    """The config with the protocol's split and labels, and the folder of results as that of runs."""
    leaky: bool

    def name(self, seed: int) -> str:
        return f"{self.fold.name}-seed{seed}{'-leaky' if self.leaky else ''}"

    def run(self, seed: int) -> Run:
        return Run(Path(self.config.project.runs_dir) / self.name(seed))

    def with_seed(self, seed: int) -> ExperimentConfig:
        return self.config.model_copy(update={"project": self.config.project.model_copy(update={"seed": seed})})

    def finished(self, seed: int) -> bool:
        """
        Raises:
            DataError: it was trained on other clips than the fold has now, or with other defaults.
        """
        run = self.run(seed)
        if not run.metrics.exists():
            return False
        differing = differences(self.with_seed(seed), run)
        if differing:
            raise DataError(f"{run.folder} was trained with other settings: {', '.join(differing)}; remove it to train the fold again")
        if read_certificate(run.split / CERTIFICATE_FILE).split_digest != self.split.certificate.split_digest:
            raise DataError(f"{run.folder} was trained on other clips than those in the manifest: remove it to train the fold again")
        return True


def run_protocol(
    config: ExperimentConfig,
    name: str | None = None,
    *,
    folds: Sequence[str] | None = None,
    leak_delta: bool = False,
    incomplete: bool = False,
) -> Path:
    """Train and measure the folds that are not finished, then write and print the results, and return their folder.

    Args:
        name: of the protocol; None: that of the config.
        folds: train only these; the results cover all finished folds.
        leak_delta: also train every fold on a random split of the same sizes, which has speakers in both train and test.
        incomplete: continue without speakers and clips that the manifest lacks; the results say so.

    Raises:
        ConfigError: there is no such protocol or fold, or `leak_delta` has no meaning for it.
        DataError: the corpora are incomplete; finished folds were trained on other data; or an error of the steps.
        ArtefactError, LeakageError: see the steps.
        LockedError: another process is running this protocol with these settings.
    """
    refuse_several_processes()
    protocol = find_protocol(name or config.protocol.name or unnamed())
    if folds is None and config.protocol.fold is not None:
        folds = [config.protocol.fold]
    chosen = [fold.name for fold in protocol.choose(folds)]
    if leak_delta:
        refuse_leak_delta(protocol)
    check_extras(config, ("transform", "train"))
    if not paths.manifest_file(config.project).exists():
        patiently(index, config)
    folder = results_folder(protocol, config)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / ".lock"):
        remove_leftovers(folder)
        leaky_too = leak_delta or any(folder.glob("*-leaky"))
        with muted("ser.splits.split"):  # the protocol itself states which parts are empty
            jobs = list(plan_jobs(protocol, config, leaky_too, incomplete))
        run_jobs([job for job in jobs if job.fold.name in chosen and (leak_delta or not job.leaky)])
        finished = [run for job in jobs for run in finished_of(job)]
        refuse_mixed(finished)
        results = write_results(folder, protocol, config, finished)
    print_results(results)
    say(f"results: {folder}")
    return folder


def unnamed() -> str:
    raise ConfigError(
        "no protocol is named: use `ser protocol run NAME`, or set protocol.name in the config; `ser protocol list` lists all"
    )


def refuse_leak_delta(protocol: Protocol) -> None:
    """
    Raises:
        ConfigError: a random split would differ from the protocol's own in more than its speakers.
    """
    if protocol.speakers == "shared":
        raise ConfigError(
            f"--leak-delta: {protocol.name} already has speakers in both train and test; it has no speaker-independent score to compare"
        )
    if any(not fold.tested_corpora <= fold.training_corpora for fold in protocol.folds):
        raise ConfigError(f"--leak-delta: {protocol.name} tests corpora that it does not train on; a random split would test other corpora")


def refuse_mixed(finished: Sequence[Finished]) -> None:
    """
    Raises:
        DataError: the folds were trained on features with different settings, versions or backbones.
    """
    for other in finished:
        if other.stores != finished[0].stores:
            raise DataError(
                f"{other.run.folder} and {finished[0].run.folder} were trained on features of another version or backbone: "
                "remove the older one to train the fold again"
            )


def results_folder(protocol: Protocol, config: ExperimentConfig) -> Path:
    """The folder name of these settings. Defaults are not part of it, so a setting that a later version adds does not change the name."""
    key = digest_json(config.model_dump(mode="json", exclude=NOT_IN_KEY, exclude_defaults=True))[:10]
    return Path(config.project.runs_dir) / "protocols" / protocol.slug / f"{config.model.name}-{key}"


def plan_jobs(protocol: Protocol, config: ExperimentConfig, leaky_too: bool, incomplete: bool) -> Iterator[Job]:
    """Certify every fold. Raises the errors of `run_protocol`, before anything is trained."""
    manifest = read_manifest(paths.manifest_file(config.project))
    skipped = screened_ids(config)
    tested = 0
    for fold in protocol.folds:
        part = fold_of_present(fold, manifest, skipped) if incomplete else fold
        try:
            honest = part.split(protocol.split_name(fold))
            split = make_split(manifest, honest, fold.labels_config, skipped)
        except (DataError, ValueError) as error:
            if not incomplete:
                raise
            log.warning("%s, fold %s is left out: %s", protocol.name, fold.name, first_line(error))
            continue
        if not incomplete:
            refuse_incomplete(protocol, fold, split)
        yield Job(protocol, fold, split, fold_config(protocol, fold, config, honest), leaky=False)
        if leaky_too:
            random = random_split(honest, split, tested)
            leaky = make_split(manifest, random, fold.labels_config, skipped)
            yield Job(protocol, fold, leaky, fold_config(protocol, fold, config, random), leaky=True)
        tested += len(split.splits["test"])


def screened_ids(config: ExperimentConfig) -> set[str]:
    """Ids that a published list may contain although their clips are not used."""
    return skipped_ids(Skipped(**row) for row in read_table(paths.skipped_file(config.project), SKIPPED_COLUMNS))


def fold_of_present(fold: Fold, manifest: Manifest, skipped: Collection[str]) -> Fold:
    """The fold without speakers and clips that are missing."""
    speakers = {utterance.speaker for utterance in manifest}
    corpora = tuple(corpus for corpus in fold.corpora if any(speaker.startswith(f"{corpus}/") for speaker in speakers))
    lists = {key: tuple(s for s in getattr(fold, key) if s in speakers) for key in ("val_speakers", "test_speakers")}
    lists |= {key: tuple(i for i in getattr(fold, key) if i in manifest or i in skipped) for key in ("val_ids", "test_ids")}
    return fold.model_copy(update={"corpora": corpora, **lists})


def refuse_incomplete(protocol: Protocol, fold: Fold, split: Split) -> None:
    """
    Raises:
        DataError: the clips of the fold are not those that the protocol states.
    """
    expected = fold.counts.model_dump()
    differing = [
        f"{len(rows)} clips in {name} instead of {expected[name]}" for name, rows in split.splits.items() if len(rows) != expected[name]
    ]
    if differing:
        raise DataError(
            f"{protocol.name}, fold {fold.name}: {', '.join(differing)}. Its corpora are incomplete, so its score could not be "
            "compared with others; --incomplete continues anyway"
        )


def random_split(honest: SplitConfig, split: Split, tested: int) -> SplitConfig:
    """A random fold: the same clips and sizes of the parts, drawn without regard to speakers.

    Args:
        tested: clips that the previous folds test. Folds that share their clips take them from one order, each once.
    """
    ids = sorted((entry.id for rows in split.splits.values() for entry in rows), key=lambda i: drawing_key(honest.seed, i))
    ids = ids[tested % len(ids) :] + ids[: tested % len(ids)]
    val, test = len(split.splits["val"]), len(split.splits["test"])
    return SplitConfig(
        name=f"{honest.name}-leaky",
        rule="explicit-ids",
        kind="sample-disjoint",
        corpora=honest.corpora,
        test_ids=tuple(sorted(ids[:test])),
        val_ids=tuple(sorted(ids[test : test + val])),
    )


def fold_config(protocol: Protocol, fold: Fold, config: ExperimentConfig, split: SplitConfig) -> ExperimentConfig:
    """The user's config with the protocol's split and labels."""
    return config.model_copy(
        update={
            "split": split,
            "labels": fold.labels_config,
            "project": config.project.model_copy(update={"runs_dir": str(results_folder(protocol, config))}),
            "protocol": config.protocol.model_copy(update={"name": protocol.name, "fold": fold.name}),
        }
    )


def run_jobs(jobs: Sequence[Job]) -> None:
    """Train the jobs that are not finished. Raises the errors of `run_protocol`."""
    trained: list[Finished] = []
    for job in jobs:
        run_job(job)
        trained += finished_of(job)
        refuse_mixed(trained)


def run_job(job: Job) -> None:
    """Train the seeds that are not finished."""
    seeds = [seed for seed in job.config.protocol.seeds if not job.finished(seed)]
    if not seeds:
        return
    with quiet():
        patiently(prepare, job)
    for seed in seeds:
        with quiet():
            train(job.with_seed(seed), run_name=job.name(seed), resume=job.run(seed).config.exists())
        (finished,) = [run for run in finished_of(job) if run.seed == seed]
        say(f"{job.protocol.name} {job.name(seed)}: UAR {percent(finished.scores.uar.value)}, {finished.scores.n} clips")


def prepare(job: Job) -> None:
    """Write the split, compute missing features, and fit the normalisers on its training speakers."""
    with exclusive_lock(paths.lock_file(job.config.project)):
        if not is_written(job):
            write_split(paths.split_folder(job.config), job.split)
    transform(job.config)
    load(job.config)


def is_written(job: Job) -> bool:
    """Whether the job's split is in place. It follows from protocol and manifest, so any other split there is overwritten."""
    try:
        manifest = read_manifest(paths.manifest_file(job.config.project))
        stored = read_split(paths.split_folder(job.config), manifest)
    except SerError:
        return False
    return stored.certificate.split_digest == job.split.certificate.split_digest


def patiently(step: Callable[[Argument], object], argument: Argument) -> None:
    """Wait while another process is writing to the processed folder, such as another protocol, which does so between its folds."""
    while True:
        try:
            step(argument)
            return
        except LockedError as error:
            log.info("%s: waiting", error)
            time.sleep(WAIT_SECONDS)


def quiet() -> AbstractContextManager[object]:
    """Hide the tables of the steps, which are too many for dozens of folds; -v shows them."""
    return nullcontext() if log.isEnabledFor(logging.INFO) else redirect_stdout(StringIO())


@contextmanager
def muted(name: str) -> Iterator[None]:
    """Hide the warnings of one logger."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def finished_of(job: Job) -> Iterator[Finished]:
    """The finished runs of a job, with every seed of the config."""
    for seed in job.config.protocol.seeds:
        if job.finished(seed):
            yield Finished.read(job.fold, seed, job.leaky, job.run(seed), job.split)
