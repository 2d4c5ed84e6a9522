"""Examination of every audio file in the raw folders. Each file is either used or skipped with a reason: found = used + skipped."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from ser.audio.decode import Audio, audio_hash, read_screened
from ser.audio.search import find_audio
from ser.config import ExperimentConfig
from ser.corpora.base import ParsedName
from ser.corpora.folders import find_corpus_folder, unknown_folders
from ser.corpora.manifest import Manifest, Utterance
from ser.corpora.registry import CORPORA
from ser.errors import AudioError, DataError
from ser.reasons import SKIP_REASONS, WARN_REASONS
from ser.system.cores import available_cores
from ser.system.parallel import run_tasks
from ser.system.progress import track
from ser.system.tables import write_table
from ser.units import samples_to_seconds
from ser.wording import UNPRINTABLE, printable

log = logging.getLogger(__name__)

FILES_PER_TASK = 64
SKIPPED_COLUMNS = ("path", "corpus", "reason", "detail")

UNREADABLE_REASONS = frozenset(
    {
        "empty",
        "header-only",
        "truncated",
        "bad-header",
        "not-audio",
        "lfs-pointer",
        "unsupported-codec",
        "unreadable",
        "not-a-file",
        "link-loop",
        "dangling-link",
        "not-finite",
    }
)
"""Reasons that count towards `project.max_unreadable`: corrupted files, but not silent, sung or duplicate clips of the corpus itself."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file that has not been examined yet."""

    corpus: str
    path: Path
    folder: Path
    """Folder of the corpus."""
    raw_dir: Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A file that can be used."""

    utterance: Utterance
    container: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not used, one row of skipped.csv."""

    path: str
    """Relative to data/raw, with forward slashes."""
    corpus: str
    reason: str
    """Reason code, see `ser.reasons`."""
    detail: str


@dataclass(frozen=True)
class Census:
    """Result of the census, sorted by ids and paths, independent of the order in which the workers finished."""

    manifest: Manifest
    skipped: list[Skipped]
    found: dict[str, int]
    """{corpus: number of files}, for corpora with at least one file."""
    warnings: dict[str, int]
    """{warning code: number of used clips}"""


def take_census(files: Sequence[Found], config: ExperimentConfig) -> Census:
    """Decode, screen and compare all files.

    Args:
        files: as of `find_files`.
    """
    results = examine_all(files, config.runtime.workers or available_cores())
    clips = [result for result in results if isinstance(result, Clip)]
    skipped = [result for result in results if isinstance(result, Skipped)]
    clips, same_id = one_file_for_each_id(clips)
    clips, same_samples = one_clip_for_the_same_samples(clips)
    report_warnings(clips)
    return Census(
        manifest=Manifest(clip.utterance for clip in clips),
        skipped=sorted(skipped + same_id + same_samples, key=lambda row: (row.corpus, row.path)),
        found=dict(Counter(file.corpus for file in files)),
        warnings=dict(Counter(code for clip in clips for code in clip.warnings)),
    )


def find_files(raw_dir: Path, corpora: Iterable[str]) -> list[Found]:
    """Find the audio files of each corpus; warn about absent corpora and about folders that are not read.

    Raises:
        DataError: no corpus has any file, or a folder cannot be listed.
    """
    for unknown in unknown_folders(raw_dir):
        log.warning("%s is not read: its name is not that of a corpus (%s)", unknown, ", ".join(CORPORA))
    files: list[Found] = []
    absent: list[tuple[str, str]] = []
    for name in corpora:
        here = files_of(raw_dir, name)
        if not here:
            folder = find_corpus_folder(raw_dir, name)
            reason = f"{folder} has no audio files" if folder else f"there is no folder {raw_dir / name}"
            absent.append((name, reason))
        files += here
    if not files:
        names = list(corpora)
        layout = f"{raw_dir / names[0]}/{CORPORA[names[0]].example}"
        known = f"one folder for each corpus ({', '.join(names)}), with files at any depth, such as {layout}"
        raise DataError(f"no audio below {raw_dir}: expected {known}; the doctor step lists where to get each")
    for name, reason in absent:
        log.warning("%s is left out: %s; to get it: %s", name, reason, CORPORA[name].how_to_get)
    return files


def files_of(raw_dir: Path, name: str) -> list[Found]:
    """Find the audio files of one corpus.

    Raises:
        DataError: a folder cannot be listed, or two are of this corpus.
    """
    folder = find_corpus_folder(raw_dir, name)
    return [Found(name, path, folder, raw_dir) for path in find_audio(folder)] if folder else []


def examine_all(files: Sequence[Found], workers: int) -> list[Clip | Skipped]:
    """Examine files in worker processes; return one result for each file, in the order of `files`."""
    tasks = [files[start : start + FILES_PER_TASK] for start in range(0, len(files), FILES_PER_TASK)]
    results: dict[int, list[Clip | Skipped]] = {}
    with track("extract", len(files), "files") as advance:
        for index, result in run_tasks(examine_task, tasks, workers, task_name):
            results[index] = result
            advance(len(result))
    return [result for index in range(len(tasks)) for result in results[index]]


def task_name(files: Sequence[Found]) -> str:
    return f"{len(files)} files from {printable(str(files[0].path))} on"


def examine_task(files: Sequence[Found]) -> list[Clip | Skipped]:
    return [examine(file) for file in files]


def examine(file: Found) -> Clip | Skipped:
    """Parse the name of a file, then decode and screen it. Files with an invalid name are not decoded."""
    relative = file.path.relative_to(file.raw_dir).as_posix()
    try:
        if UNPRINTABLE.search(relative):
            raise AudioError("bad-name", "the path has control characters or bytes that are not UTF-8")
        parsed = CORPORA[file.corpus].parse(PurePath(file.path.relative_to(file.folder)))
        audio, warnings = read_screened(file.path)
    except AudioError as error:
        return Skipped(printable(relative), file.corpus, error.reason, error.detail)
    return Clip(make_utterance(file.corpus, relative, parsed, audio), audio.container, warnings)


def manifest_of_names(files: Iterable[Found]) -> Manifest:
    """Build one row for each id that the names of the files give, without facts about the audio. Names that do not parse are left out."""
    rows: dict[str, Utterance] = {}
    for file in files:
        relative = file.path.relative_to(file.raw_dir).as_posix()
        with suppress(AudioError):
            parsed = CORPORA[file.corpus].parse(PurePath(file.path.relative_to(file.folder)))
            rows[parsed.id] = Utterance(
                **asdict(parsed), corpus=file.corpus, path=relative, sample_rate=0, channels=0, num_samples=0, duration=0.0, audio_hash=""
            )
    return Manifest(rows.values())


def make_utterance(corpus: str, path: str, parsed: ParsedName, audio: Audio) -> Utterance:
    """Build one row of the manifest."""
    num_samples, channels = audio.samples.shape
    return Utterance(
        **asdict(parsed),
        corpus=corpus,
        path=path,
        sample_rate=audio.sample_rate,
        channels=channels,
        num_samples=num_samples,
        duration=samples_to_seconds(num_samples, audio.sample_rate),
        audio_hash=audio_hash(audio),
    )


def one_file_for_each_id(clips: Iterable[Clip]) -> tuple[list[Clip], list[Skipped]]:
    """Keep one file for each id. Archives may have whole trees twice, and a corpus may have MP3 as well as WAV.

    WAV is preferred, then the shortest path, then the first in alphabetical order.
    """
    kept: list[Clip] = []
    skipped: list[Skipped] = []
    for files in grouped(clips, lambda clip: clip.utterance.id):
        best, *others = sorted(files, key=lambda clip: (clip.container != "wav", len(clip.utterance.path), clip.utterance.path))
        kept.append(best)
        skipped += [
            skip(clip, "duplicate-samples", f"another file of {best.utterance.id}: {best.utterance.path} is used") for clip in others
        ]
    return kept, skipped


def one_clip_for_the_same_samples(clips: Iterable[Clip]) -> tuple[list[Clip], list[Skipped]]:
    """Keep one clip of several with the same samples: the first id if their labels agree, otherwise none, as the right label is unknown."""
    kept: list[Clip] = []
    skipped: list[Skipped] = []
    for group in grouped(clips, lambda clip: clip.utterance.audio_hash):
        first, *others = sorted(group, key=lambda clip: clip.utterance.id)
        if len({clip.utterance.emotion for clip in group}) == 1:
            kept.append(first)
            skipped += [skip(clip, "duplicate-samples", f"the same samples as {first.utterance.id}") for clip in others]
            continue
        labels = ", ".join(f"{clip.utterance.id} {clip.utterance.emotion}" for clip in (first, *others))
        skipped += [skip(clip, "conflicting-label", f"the same samples under several labels: {labels}") for clip in group]
    return kept, skipped


def grouped(clips: Iterable[Clip], key: Callable[[Clip], str]) -> Iterable[list[Clip]]:
    groups: defaultdict[str, list[Clip]] = defaultdict(list)
    for clip in clips:
        groups[key(clip)].append(clip)
    return groups.values()


def skip(clip: Clip, reason: str, detail: str) -> Skipped:
    return Skipped(clip.utterance.path, clip.utterance.corpus, reason, detail)


def report_warnings(clips: Iterable[Clip]) -> None:
    """Log one warning for each code with its count, and the files at level DEBUG."""
    counts: Counter[str] = Counter()
    for clip in clips:
        counts.update(clip.warnings)
        for code in clip.warnings:
            log.debug("%s: %s", clip.utterance.path, code)
    for code, count in sorted(counts.items()):
        log.warning("used with a warning: %d %s (%s)", count, code, WARN_REASONS[code])


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Write skipped.csv atomically."""
    write_table(path, SKIPPED_COLUMNS, (asdict(row) for row in skipped))


def check_census(census: Census, max_unreadable: float) -> None:
    """Check that enough of each corpus is usable.

    Raises:
        DataError: more than the share `max_unreadable` of a corpus is corrupted, or none of its files can be used.
    """
    for corpus, found in census.found.items():
        reasons = Counter(row.reason for row in census.skipped if row.corpus == corpus)
        unreadable = sum(count for reason, count in reasons.items() if reason in UNREADABLE_REASONS)
        if unreadable <= max_unreadable * found and reasons.total() < found:
            continue
        counts = ", ".join(f"{count} {reason}" for reason, count in reasons.most_common())
        limit = f"{unreadable} of {found} files cannot be read; project.max_unreadable allows {max_unreadable:.0%} ({counts})"
        problem = limit if unreadable > max_unreadable * found else f"none of {found} files can be used ({counts})"
        raise DataError(f"{corpus}: {problem}. {advice(corpus, reasons)}")


def advice(corpus: str, reasons: Counter[str]) -> str:
    """Advice on the most frequent reason."""
    reason, _ = reasons.most_common(1)[0]
    if reason == "lfs-pointer":
        return f"To get the audio: {CORPORA[corpus].how_to_get}"
    if reason == "bad-name":
        return f"Names look like {CORPORA[corpus].example}: {CORPORA[corpus].example_meaning}"
    return f"{reason} means: {SKIP_REASONS[reason]}"


def summary(census: Census) -> list[str]:
    """Lines of a table with one row for each corpus and one for all."""
    parts = {corpus: (found, census.manifest.select(corpus=corpus)) for corpus, found in census.found.items()}
    parts["all"] = sum(census.found.values()), census.manifest
    lines = [f"{'corpus':10}{'found':>8}{'used':>8}{'skipped':>8}{'speakers':>10}{'hours':>8}"]
    for name, (found, used) in parts.items():
        hours = sum(utterance.duration for utterance in used) / 3600
        speakers = len({utterance.speaker for utterance in used})
        lines.append(f"{name:10}{found:8}{len(used):8}{found - len(used):8}{speakers:10}{hours:8.2f}")
    return lines
