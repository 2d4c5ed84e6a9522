"""The extract step: data/raw -> manifest.csv, skipped.csv, votes.csv and the split."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path, PurePath

from ser.config import ExperimentConfig, ProjectConfig
from ser.corpora.census import (
    Census,
    Found,
    Skipped,
    check_census,
    find_files,
    manifest_of_names,
    summary,
    take_census,
    write_skipped,
)
from ser.corpora.folders import find_corpus_folder
from ser.corpora.licences import short_title
from ser.corpora.manifest import Manifest, write_manifest
from ser.corpora.registry import CORPORA
from ser.corpora.votes import Counts, Votes, write_votes
from ser.errors import AudioError
from ser.pipeline import paths
from ser.splits.certificate import SPLIT_NAMES
from ser.splits.split import Divided, divide, make_split, write_split
from ser.system.console import say
from ser.system.files import exclusive_lock, remove_leftovers

log = logging.getLogger(__name__)


def extract(config: ExperimentConfig) -> Census:
    """Index the corpora, and split them by the rule of the config.

    Raises:
        DataError: there is no audio, too much of a corpus is corrupted (skipped.csv then names the files, and the manifest is not changed),
            a table of votes is corrupted, or the split is impossible.
        LeakageError: the split is not what its config declares.
        LockedError: another process is writing to the processed folder.
    """
    project = config.project
    with exclusive_lock(paths.lock_file(project)):
        remove_leftovers(paths.split_folder(config))
        votes = find_votes(project)  # first, because it is quick: an error in the table should not be reported after minutes
        files = find_files(Path(project.raw_dir), project.corpora)
        foresee_split(files, config)
        census = index_corpora(files, config)
        write_manifest_and_votes(project, census.manifest, votes)
        split = make_split(census.manifest, config.split, config.labels, skipped_ids(census.skipped))
        write_split(paths.split_folder(config), split)
    counts = ", ".join(f"{name} {len(entries)}" for name, entries in split.splits.items())
    say(f"split {config.split.name} ({split.certificate.kind}): {counts}; {paths.split_folder(config)}")
    return census


def index(config: ExperimentConfig) -> None:
    """Write the manifest without a split, for callers with splits of their own. Raises the errors of `extract`."""
    project = config.project
    with exclusive_lock(paths.lock_file(project)):
        votes = find_votes(project)
        census = index_corpora(find_files(Path(project.raw_dir), project.corpora), config)
        write_manifest_and_votes(project, census.manifest, votes)


def foresee_split(files: Sequence[Found], config: ExperimentConfig) -> Divided:
    """The split by the names of the files, before any of them is decoded; screening may remove clips from it.

    Raises:
        DataError: the split is impossible, see `make_split`.
    """
    names = manifest_of_names(files)
    if not len(names):  # then the screening reports the reason for each file
        return Divided(dict.fromkeys(SPLIT_NAMES, ()), (), ())
    return divide(names, config.split, config.labels)


def index_corpora(files: Sequence[Found], config: ExperimentConfig) -> Census:
    """Decode and screen these files. skipped.csv is always written, so that it explains why the other files may be missing."""
    project = config.project
    remove_leftovers(paths.processed(project))
    census = take_census(files, config)
    write_skipped(paths.skipped_file(project), census.skipped)
    for line in summary(census):
        say(line)
    check_census(census, project.max_unreadable)
    return census


def write_manifest_and_votes(project: ProjectConfig, manifest: Manifest, votes: Votes) -> None:
    write_manifest(paths.manifest_file(project), manifest)
    write_used_votes(project, votes, manifest)


def find_votes(project: ProjectConfig) -> Votes:
    """The votes of every corpus that has a table of them beside its audio."""
    votes: dict[str, Counts] = {}
    for name in project.corpora:
        table = CORPORA[name].votes
        folder = find_corpus_folder(Path(project.raw_dir), name) if table else None
        if table and folder:
            votes |= table.find(folder) or {}
    return votes


def write_used_votes(project: ProjectConfig, votes: Votes, manifest: Manifest) -> None:
    """Write the votes on the clips that are used; without any, remove the file of an earlier extract."""
    path = paths.votes_file(project)
    used = {key: counts for key, counts in votes.items() if key in manifest}
    if used:
        write_votes(path, used)
        titles = ", ".join(short_title(name) for name in sorted({manifest[key].corpus for key in used}))
        say(f"votes on {len(used)} clips of {titles}, {sum(int(counts.sum()) for counts in used.values())} answers; {path}")
    else:
        path.unlink(missing_ok=True)


def skipped_ids(skipped: Iterable[Skipped]) -> set[str]:
    """The ids of screened-out clips whose names give one: a published fold may list them."""
    ids = set()
    for row in skipped:
        relative = PurePath(*PurePath(row.path).parts[1:])  # without the corpus's folder
        try:
            ids.add(CORPORA[row.corpus].parse(relative).id)
        except (AudioError, IndexError):
            log.debug("%s: its name gives no id", row.path)
    return ids
