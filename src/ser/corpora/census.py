"""Every audio file of the raw folders looked at once: used, or skipped with a reason. found = used + skipped, always."""

import logging
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path, PurePath

from ser.audio.decode import Audio, audio_hash, read_screened
from ser.audio.search import find_audio, list_folder
from ser.config import ExperimentConfig
from ser.corpora.base import ParsedName
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
"""What counts against `project.max_unreadable`: damage, not a clip that the corpus itself made silent, sung or double."""


@dataclass(frozen=True, slots=True)
class Found:
    """A file, before anything is known of it."""

    corpus: str
    path: Path
    folder: Path
    """Of the corpus."""
    raw_dir: Path


@dataclass(frozen=True, slots=True)
class Clip:
    """A file that can be used."""

    utterance: Utterance
    container: str
    warnings: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Skipped:
    """A file that is not used; a row of skipped.csv."""

    path: str
    """Relative to data/raw, with forward slashes."""
    corpus: str
    reason: str
    """Of `ser.reasons`."""
    detail: str


@dataclass(frozen=True)
class Census:
    """The result. Everything is in the order of ids and paths, whatever the order in which workers were done."""

    manifest: Manifest
    skipped: list[Skipped]
    found: dict[str, int]
    """Files of each corpus that has any."""
    warnings: dict[str, int]
    """Used clips by warning code."""


def take_census(config: ExperimentConfig) -> Census:
    """Search, decode, screen and compare all files of the corpora that the config names.

    Raises:
        DataError: no corpus has any audio file, or a folder cannot be listed.
    """
    files = find_files(Path(config.project.raw_dir), config.project.corpora)
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
    """The audio files of each corpus.

    Raises:
        DataError: there is none at all.
    """
    files: list[Found] = []
    for name in corpora:
        folder = find_corpus_folder(raw_dir, name)
        here = [Found(name, path, folder, raw_dir) for path in find_audio(folder)] if folder else []
        if not here:
            reason = f"{folder} holds no audio files" if folder else f"there is no folder {raw_dir / name}"
            log.warning("%s is left out: %s; to get it: %s", name, reason, CORPORA[name].how_to_get)
        files += here
    if not files:
        layout = ", ".join(f"{raw_dir / name}/{CORPORA[name].example}" for name in corpora)
        raise DataError(f"no audio below {raw_dir}: expected one folder for each corpus, of any depth, like {layout}")
    return files


def examine_all(files: Sequence[Found], workers: int) -> list[Clip | Skipped]:
    """Every file's result, in the order of `files`."""
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
    """Name, samples, warnings of one file. The name comes first: what it rules out need not be decoded."""
    relative = file.path.relative_to(file.raw_dir).as_posix()
    try:
        if UNPRINTABLE.search(relative):
            raise AudioError("bad-name", "control characters, or bytes that are no UTF-8, in the path")
        parsed = CORPORA[file.corpus].parse(PurePath(file.path.relative_to(file.folder)))
        audio, warnings = read_screened(file.path)
    except AudioError as error:
        return Skipped(printable(relative), file.corpus, error.reason, error.detail)
    return Clip(make_utterance(file.corpus, relative, parsed, audio), audio.container, warnings)


def make_utterance(corpus: str, path: str, parsed: ParsedName, audio: Audio) -> Utterance:
    """One row of the manifest."""
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
    """Archives hold whole trees twice, and a corpus ships mp3 beside wav: WAV wins, then the shortest path, then the alphabet."""
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
    """Different ids with the same samples: one label, the first id is kept; several labels, nobody knows which is right."""
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
    """One warning for each code, with its count; the files at level DEBUG."""
    counts: Counter[str] = Counter()
    for clip in clips:
        counts.update(clip.warnings)
        for code in clip.warnings:
            log.debug("%s: %s", clip.utterance.path, code)
    for code, count in sorted(counts.items()):
        log.warning("used with a warning: %d %s (%s)", count, code, WARN_REASONS[code])


def write_skipped(path: Path, skipped: Iterable[Skipped]) -> None:
    """Atomic CSV."""
    write_table(path, SKIPPED_COLUMNS, (asdict(row) for row in skipped))


def check_census(census: Census, max_unreadable: float) -> None:
    """
    Raises:
        DataError: more than `max_unreadable` of a corpus is corrupted, or nothing of it can be used.
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
    """What to do about the most frequent reason."""
    reason, _ = reasons.most_common(1)[0]
    if reason == "lfs-pointer":
        return f"To get the audio: {CORPORA[corpus].how_to_get}"
    if reason == "bad-name":
        return f"Names look like {CORPORA[corpus].example}: {CORPORA[corpus].example_meaning}"
    return f"{reason} means: {SKIP_REASONS[reason]}"


def summary(census: Census) -> list[str]:
    """A table, one line for each corpus and one for all."""
    parts = {corpus: (found, census.manifest.select(corpus=corpus)) for corpus, found in census.found.items()}
    parts["all"] = sum(census.found.values()), census.manifest
    lines = [f"{'corpus':10}{'found':>8}{'used':>8}{'skipped':>8}{'speakers':>10}{'hours':>8}"]
    for name, (found, used) in parts.items():
        hours = sum(utterance.duration for utterance in used) / 3600
        speakers = len({utterance.speaker for utterance in used})
        lines.append(f"{name:10}{found:8}{len(used):8}{found - len(used):8}{speakers:10}{hours:8.2f}")
    return lines


def find_corpus_folder(raw_dir: Path, name: str) -> Path | None:
    """The folder of a corpus, in any case, or a link to one.

    Raises:
        DataError: `raw_dir` cannot be listed, or two of its folders differ only in case.
    """
    if not raw_dir.is_dir():
        return None
    folders = [Path(entry.path) for entry in list_folder(raw_dir) if entry.name.lower() == name and entry.is_dir()]
    if len(folders) > 1:
        raise DataError(f"{' and '.join(map(str, folders))} are folders of one corpus: put them into one")
    return folders[0] if folders else None
