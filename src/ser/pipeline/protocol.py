"""`ser protocol`: every fold of a named protocol, trained with every seed, measured, and put into one table.

    runs/protocols/<protocol>-v<version>/<model>-<key>/
        <fold>-seed<n>/            a run like any other, with its own copy of split, certificate and normaliser
        <fold>-seed<n>-leaky/      the same on a random split of the same sizes (--leak-delta)
        predictions.csv            of every fold and seed
        protocol.json              the scores, and what they need beside them to be believed; written last

<key> tells settings apart, so a finished fold is never trained twice and never mistaken for one of other settings. The features of a clip
are computed once and serve all folds.
"""

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from ser import paths
from ser.census import SKIPPED_COLUMNS, Skipped
from ser.certificate import read_certificate
from ser.config import ExperimentConfig, SplitConfig
from ser.console import print_table, say
from ser.errors import ConfigError, DataError
from ser.files import digest_json, exclusive_lock
from ser.manifest import Manifest, read_manifest
from ser.pipeline.extract import extract, skipped_ids
from ser.pipeline.extras import check_extras
from ser.pipeline.load import load
from ser.pipeline.protocol_results import Finished, print_results, write_results
from ser.pipeline.train import train
from ser.pipeline.transform import transform
from ser.protocols import Fold, Protocol, find_protocol, read_protocols
from ser.runs import Run, differences
from ser.splits import CERTIFICATE_FILE, Split, drawing_key, make_split, read_split, write_split
from ser.tables import read_table

log = logging.getLogger(__name__)

NOT_IN_KEY = {"project", "split", "labels", "protocol", "calibration", "tracking", "runtime"}
"""Sections that the protocol sets itself, or that change no prediction."""


@dataclass(frozen=True)
class Job:
    """One fold, on its own split or on a random one of the same sizes, to be trained with every seed."""

    protocol: Protocol
    fold: Fold
    split: Split
    config: ExperimentConfig
    """With the protocol's split and labels, and the folder of results as that of runs."""
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
            DataError: it was trained on other clips than the fold has now, or where other defaults held.
        """
        run = self.run(seed)
        if not run.metrics.exists():
            return False
        differing = differences(self.with_seed(seed), run)
        if differing:
            raise DataError(f"{run.folder} was trained with other settings: {', '.join(differing)}; remove it to train the fold again")
        if read_certificate(run.split / CERTIFICATE_FILE).split_digest != self.split.certificate.split_digest:
            raise DataError(f"{run.folder} was trained on other clips than are here now: remove it to train the fold again")
        return True


def run_protocol(
    config: ExperimentConfig,
    name: str | None = None,
    *,
    folds: Sequence[str] | None = None,
    leak_delta: bool = False,
    incomplete: bool = False,
) -> Path:
    """Train and measure whatever is not finished, then write and print the results; the folder that holds them.

    Args:
        name: of the protocol; None takes that of the config.
        folds: only these; the results cover whatever is finished.
        leak_delta: train every fold on a random split of the same sizes too, where speakers stand on both sides.
        incomplete: go on without speakers and clips that the manifest lacks; the results say so.

    Raises:
        ConfigError: no such protocol or fold, or `leak_delta` for a protocol in which speakers stand on both sides anyway.
        DataError: the corpora are not complete; else as of the steps.
        ArtefactError, LeakageError: as of the steps.
        LockedError: another process runs this protocol with these settings, or writes to the processed folder.
    """
    protocol = find_protocol(name or config.protocol.name or unnamed())
    if leak_delta and protocol.speakers == "shared":
        raise ConfigError(
            f"--leak-delta: in {protocol.name} speakers stand on both sides already; no honest score is there to compare with"
        )
    check_extras(config, ("transform", "train"))
    chosen = [fold.name for fold in protocol.choose(folds)]
    if not paths.manifest_file(config.project).exists():
        extract(config)
    with muted("ser.splits"):  # the protocol itself states what it leaves empty
        jobs = list(plan_jobs(protocol, config, leak_delta, incomplete))
    folder = results_folder(protocol, config)
    folder.mkdir(parents=True, exist_ok=True)
    with exclusive_lock(folder / ".lock"):
        for job in jobs:
            if job.fold.name in chosen:
                run_job(job)
        results = write_results(folder, protocol, config, [finished for job in jobs for finished in finished_of(job)])
    print_results(results)
    say(f"everything is in {folder}")
    return folder


def unnamed() -> str:
    raise ConfigError(
        "no protocol is named: give one as `ser protocol run NAME`, or as protocol.name in the config; `ser protocol list` names all"
    )


def results_folder(protocol: Protocol, config: ExperimentConfig) -> Path:
    """Other settings, another folder. What is left at its default is not in the name: a setting that a later version adds moves nothing."""
    key = digest_json(config.model_dump(mode="json", exclude=NOT_IN_KEY, exclude_defaults=True))[:10]
    return Path(config.project.runs_dir) / "protocols" / protocol.slug / f"{config.model.name}-{key}"


def plan_jobs(protocol: Protocol, config: ExperimentConfig, leak_delta: bool, incomplete: bool) -> Iterator[Job]:
    """Every fold, certified; errors as of `run_protocol`, before anything is trained."""
    manifest = read_manifest(paths.manifest_file(config.project))
    skipped = screened_ids(config)
    for fold in protocol.folds:
        part = fold_of_present(fold, manifest, skipped) if incomplete else fold
        if part is None:
            log.warning("%s, fold %s: nobody is here to be tested; it is left out", protocol.name, fold.name)
            continue
        honest = part.split(protocol.split_name(fold))
        split = make_split(manifest, honest, fold.labels, skipped)
        if not incomplete:
            refuse_incomplete(protocol, fold, split)
        yield Job(protocol, fold, split, fold_config(protocol, fold, config, honest), leaky=False)
        if leak_delta:
            random = random_split(honest, split, fold)
            split = make_split(manifest, random, fold.labels, skipped)
            yield Job(protocol, fold, split, fold_config(protocol, fold, config, random), leaky=True)


def screened_ids(config: ExperimentConfig) -> set[str]:
    """Ids that a published list may hold although their clips are not used."""
    return skipped_ids(Skipped(**row) for row in read_table(paths.skipped_file(config.project), SKIPPED_COLUMNS))


def fold_of_present(fold: Fold, manifest: Manifest, skipped: Collection[str]) -> Fold | None:
    """The fold without speakers and clips that are not here; None where that leaves nobody to train or to test."""
    speakers = {utterance.speaker for utterance in manifest}
    corpora = tuple(corpus for corpus in fold.corpora if any(speaker.startswith(f"{corpus}/") for speaker in speakers))
    lists = {key: tuple(s for s in getattr(fold, key) if s in speakers) for key in ("val_speakers", "test_speakers")}
    lists |= {key: tuple(i for i in getattr(fold, key) if i in manifest or i in skipped) for key in ("val_ids", "test_ids")}
    part = fold.model_copy(update={"corpora": corpora, **lists})
    held_out = {*part.val_speakers, *part.test_speakers}
    trains = any(utterance.corpus in corpora and utterance.speaker not in held_out for utterance in manifest)
    return part if trains and (part.test_speakers or part.test_ids) else None


def refuse_incomplete(protocol: Protocol, fold: Fold, split: Split) -> None:
    """
    Raises:
        DataError: the fold has not the clips that the protocol states.
    """
    expected = fold.counts.model_dump()
    differing = [
        f"{len(rows)} clips in {name} instead of {expected[name]}" for name, rows in split.splits.items() if len(rows) != expected[name]
    ]
    if differing:
        raise DataError(
            f"{protocol.name}, fold {fold.name}: {', '.join(differing)}. Its corpora are not complete here, so its score could not be "
            "compared with others; --incomplete goes on all the same"
        )


def random_split(honest: SplitConfig, split: Split, fold: Fold) -> SplitConfig:
    """As many clips of the same ones in each part, drawn without regard to speakers."""
    ids = sorted((entry.id for rows in split.splits.values() for entry in rows), key=lambda i: drawing_key(honest.seed, f"{fold.name}/{i}"))
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
    """Split and labels are the protocol's, all else is the user's."""
    return config.model_copy(
        update={
            "split": split,
            "labels": fold.labels,
            "project": config.project.model_copy(update={"runs_dir": str(results_folder(protocol, config))}),
            "protocol": config.protocol.model_copy(update={"name": protocol.name, "fold": fold.name}),
        }
    )


def run_job(job: Job) -> None:
    """Train with every seed that is not finished."""
    seeds = [seed for seed in job.config.protocol.seeds if not job.finished(seed)]
    if not seeds:
        return
    with quiet():
        prepare(job)
    for seed in seeds:
        with quiet():
            train(job.with_seed(seed), run_name=job.name(seed), resume=job.run(seed).config.exists())
        (finished,) = [one for one in finished_of(job) if one.seed == seed]
        say(f"{job.protocol.name} {job.name(seed)}: UAR {100 * finished.metrics['uar']:.1f}, {finished.metrics['n']} clips")


def prepare(job: Job) -> None:
    """The split in its place, missing features computed, the normalisers fitted on its training speakers."""
    folder = paths.split_folder(job.config)
    with exclusive_lock(paths.lock_file(job.config.project)):
        manifest = read_manifest(paths.manifest_file(job.config.project))
        stands = (folder / CERTIFICATE_FILE).exists()
        if not stands or read_split(folder, manifest).certificate.split_digest != job.split.certificate.split_digest:
            write_split(folder, job.split)
    transform(job.config)
    load(job.config)


def quiet() -> AbstractContextManager[object]:
    """The steps print tables that nobody reads for dozens of folds; -v shows them."""
    return nullcontext() if log.isEnabledFor(logging.INFO) else redirect_stdout(StringIO())


@contextmanager
def muted(name: str) -> Iterator[None]:
    """Without the warnings of one logger."""
    logger = logging.getLogger(name)
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def finished_of(job: Job) -> Iterator[Finished]:
    """What is there of a job, with every seed of the config."""
    for seed in job.config.protocol.seeds:
        if job.finished(seed):
            yield Finished.read(job.fold, seed, job.leaky, job.run(seed), job.split)


def print_list() -> None:
    """One line for each protocol."""
    rows = [
        (p.name, p.version, ", ".join(p.corpora), len(p.folds), p.speakers, p.checksum[:12], p.title) for p in read_protocols().values()
    ]
    print_table("protocols", ("name", "version", "corpora", "folds", "speakers", "checksum", ""), rows, text_columns=7)


def print_protocol(name: str) -> None:
    """Everything about one.

    Raises:
        ConfigError: there is none of this name.
    """
    protocol = find_protocol(name)
    say(f"{protocol.name}, version {protocol.version}: {protocol.title}")
    say(f"source: {protocol.source}")
    say(f"validation: {protocol.validation}")
    say("speakers: " + ("stand on both sides" if protocol.speakers == "shared" else "those of test never train"))
    say(f"transductive: {'yes' if protocol.transductive else 'no'}")
    say(f"checksum: {protocol.checksum}")
    rows = [
        (
            fold.name,
            ", ".join(fold.corpora),
            len(fold.labels.keep),
            *fold.counts.model_dump().values(),
            f"{fold.published.train} / {fold.published.test}" if fold.published else "",
            those_tested(fold),
        )
        for fold in protocol.folds
    ]
    header = ("fold", "corpora", "classes", "train", "val", "test", "published train / test", "tested")
    print_table("clips after screening, on the complete corpora", header, rows, text_columns=2)


def those_tested(fold: Fold, shown: int = 8) -> str:
    if fold.by_id:
        return f"{len(fold.test_ids)} listed clips"
    names = fold.test_speakers
    return ", ".join(names) if len(names) <= shown else f"{len(names)} speakers"
