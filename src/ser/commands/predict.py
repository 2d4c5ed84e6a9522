"""`ser predict`: predict the emotion in files, folders, patterns and standard input."""

import io
import os
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from glob import escape, glob, has_magic
from pathlib import Path
from typing import IO

from ser.audio.search import find_audio, is_folder
from ser.commands.embedding_file import EmbeddingFile
from ser.errors import AudioError, ConfigError, DataError
from ser.home import expand_home, user_path
from ser.inference.choose_model import is_model
from ser.inference.formats import FORMATS, Outcome
from ser.inference.options import PredictOptions
from ser.inference.prediction import Passage, Prediction
from ser.inference.predictor import Predictor, Tracker
from ser.system.files import atomic_write, refuse_place
from ser.wording import percent, printable

STDIN = "-"
"""The argument for standard input."""
STDIN_NAME = "stdin"
"""The name of a recording from standard input."""
TABLE = "table"
ALONE = ("srt",)
"""Formats for a single recording."""
NAMED = 3
"""The number of unusable files that a message names, and of emotions in a cell."""
MOST_ROWS = 200
"""The highest number of rows in the table of segments; the other formats contain all segments."""

Source = str | Path | Outcome
"""The error of a folder that cannot be listed."""
Paths = Sequence[str]


def predict(
    paths: Paths, options: PredictOptions, form: str | None = None, output: str | None = None, embedding: str | None = None
) -> None:
    """Print the predictions. Files that cannot be used do not stop the others.

    Args:
        paths: files, folders (all files at any depth with the suffix of an audio format), patterns such as `calls/**/*.wav`, or `-` for one
            on standard input. A file that is named several times is predicted once.
        form: one of `FORMATS`, or table; None: table, or the format of the suffix of `output`.
        output: file to write; None: standard output.
        embedding: .npy or .csv file for the embeddings of the recordings, written in addition.

    Raises:
        ConfigError: the format does not exist, or is a table and `output` is set; a file cannot be written; standard input is given twice;
            a path is empty; srt is chosen for several recordings; a path is a model; there are no paths; or see `Predictor.from_options`.
        AudioError: the only file cannot be used.
        DataError: some files cannot be used (raised after the others are printed); a folder or a pattern has no audio.
        KeyboardInterrupt: Ctrl-C, raised after the finished predictions are printed.
    """
    file = None if output is None else user_path(output)
    form = choose_format(form, file)
    sources = find_sources(paths, form)
    if file is not None:
        refuse_place(file, "--output")
    vectors = None if embedding is None else EmbeddingFile(user_path(embedding))
    predictor = Predictor.from_options(options)
    between_lines = file is None and form != TABLE and sys.stdout.isatty()  # a progress bar would be mixed with the printed lines
    found = predict_all(predictor, sources, progress=not between_lines)
    outcomes = Outcomes(found if vectors is None else vectors.collect(found))
    if form == TABLE:
        print_outcomes(outcomes, len(sources))
    elif file is not None:
        write_file(file, FORMATS[form](outcomes, predictor.classes))
    else:
        for text in FORMATS[form](outcomes, predictor.classes):
            write(text)
    if vectors is not None:
        vectors.write()
    if outcomes.stopped:
        raise outcomes.stopped
    if outcomes.broken:
        raise DataError(complaint(outcomes.broken, len(sources)))


def choose_format(form: str | None, output: Path | None) -> str:
    """
    Raises:
        ConfigError: see `predict`.

    >>> choose_format(None, None), choose_format(None, Path("x.CSV")), choose_format("timeline-csv", Path("x.csv"))
    ('table', 'csv', 'timeline-csv')
    """
    if form is None and output is None:
        return TABLE
    chosen = form if form is not None or output is None else output.suffix.lower().removeprefix(".")
    if chosen in FORMATS or (chosen == TABLE and output is None):
        return chosen
    if form is None:
        raise ConfigError(printable(f"--output {output}: give a name that ends in .json, .jsonl, .csv, .rttm or .srt, or --format"))
    if output is None:
        raise ConfigError(f"--format {form}: choose {', '.join((TABLE, *FORMATS))}")
    raise ConfigError(f"--format {form}: choose {', '.join(FORMATS)} for --output")


# -- sources ------------------------------------------------------------------------------


def find_sources(paths: Paths, form: str) -> list[Source]:
    """Raises the errors of `predict`."""
    paths = [expand_home(path) for path in paths]
    if not paths:
        raise ConfigError(f"no input: give files, folders, patterns, {STDIN} for standard input, or --mic")
    if paths.count(STDIN) > 1:
        raise ConfigError(f"{STDIN} (standard input) was given more than once, and can be read only once")
    for path in paths:
        if not path:
            raise ConfigError("a path is empty: use . for the current folder")
        if is_model(Path(path)):
            raise ConfigError(f"{printable(path)} is a model, not a recording: give it with --model")
    first: dict[str, Source] = {}
    for source in (source for path in paths for source in find_at(path)):
        first.setdefault(identity(source), source)
    sources = list(first.values())
    if form in ALONE and len(sources) > 1:
        raise ConfigError(f"--format {form} is for a single recording, and {len(sources)} were given")
    return sources


def identity(source: Source) -> str:
    """A key that is equal for all spellings of a path."""
    return STDIN if source == STDIN else os.path.realpath(name_of(source))


def name_of(source: Source) -> str:
    return source.name if isinstance(source, Outcome) else str(source)


def find_at(path: str) -> list[Source]:
    """The files of one argument; a file that does not exist is kept, to be reported with its reason."""
    if path == STDIN:
        return [STDIN]
    if has_magic(path) and not Path(path).exists():
        found = [source for match in matches(path) for source in below(match)]
        return nonempty(found, f"{printable(path)} matches no audio file")
    return nonempty(below(Path(path)), f"{printable(path)} contains no audio file")


def matches(pattern: str) -> list[Path]:
    """The files that match a pattern. Folders at its start that exist under their literal name are not part of the pattern: `calls
    [2024]/*.wav`."""
    parents = Path(pattern).parents
    folder = next((parent for parent in parents if has_magic(str(parent)) and parent.is_dir()), None)
    if folder is not None:
        pattern = os.path.join(escape(str(folder)), Path(pattern).relative_to(folder))  # noqa: PTH118 - what follows is a pattern
    return [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - Path takes no absolute pattern


def below(path: Path) -> list[Source]:
    """The files of a folder, and the folders below it that cannot be listed."""
    if not is_folder(path):
        return [path]
    unlisted: list[tuple[Path, str]] = []
    found = find_audio(path, unlisted)
    return [*found, *(Outcome(str(folder), error=AudioError("unreadable", why)) for folder, why in unlisted)]


def nonempty(found: list[Source], otherwise: str) -> list[Source]:
    if not found:
        raise DataError(otherwise)
    return found


# -- predictions --------------------------------------------------------------------------


def predict_all(predictor: Predictor, sources: Sequence[Source], *, progress: bool) -> Iterator[Outcome]:
    """One outcome for each source, in their order, with progress over files, or over the seconds of a single one."""
    if len(sources) == 1:
        yield predict_source(predictor, sources[0], track_seconds)
        return
    with track_files(len(sources)) if progress else Silent() as advance:
        for source in sources:
            yield predict_source(predictor, source)
            advance(1)


def predict_source(predictor: Predictor, source: Source, track: Tracker | None = None) -> Outcome:
    """Predict one recording; its outcome holds the error, if there is one."""
    if isinstance(source, Outcome):
        return source
    name = STDIN_NAME if source == STDIN else str(source)
    audio: str | Path | IO[bytes] = standard_input() if source == STDIN else source
    try:
        prediction, embedding = predictor.predict_and_embed(audio, track=track)
        return Outcome(name, prediction, embedding=embedding)
    except AudioError as error:
        return Outcome(name, error=error)


def standard_input() -> IO[bytes]:
    """The bytes of standard input; empty if it is closed."""
    return sys.stdin.buffer if sys.stdin is not None else io.BytesIO()


def track_seconds(description: str, total: float) -> AbstractContextManager[Callable[[float], None]]:
    from ser.system.progress import AUDIO, track

    return track(description, total, AUDIO)


def track_files(count: int) -> AbstractContextManager[Callable[[float], None]]:
    from ser.system.progress import track

    return track("predict", count, "files")


class Silent(AbstractContextManager[Callable[[float], None]]):
    """No progress."""

    def __enter__(self) -> Callable[[float], None]:
        return lambda _: None

    def __exit__(self, *_: object) -> None:
        return None


class Outcomes:
    """The outcomes as they are computed. Ctrl-C ends them as if there were no more, so that the finished ones are printed.

    Attributes:
        broken: outcomes without a prediction.
        stopped: the KeyboardInterrupt that ended them, if any.
    """

    def __init__(self, outcomes: Iterable[Outcome]) -> None:
        self.outcomes = outcomes
        self.broken: list[Outcome] = []
        self.stopped: KeyboardInterrupt | None = None

    def __iter__(self) -> Iterator[Outcome]:
        try:
            for outcome in self.outcomes:
                self.broken += [outcome] if outcome.prediction is None else []
                yield outcome
        except KeyboardInterrupt as stopped:
            self.stopped = stopped


def complaint(broken: Sequence[Outcome], count: int) -> str:
    """One line about the files that cannot be used."""
    if count == 1:
        return f"{printable(broken[0].name)}: {broken[0].error}"
    named = ", ".join(f"{printable(outcome.name)} ({outcome.error.reason if outcome.error else ''})" for outcome in broken[:NAMED])
    return f"{len(broken)} of {count} files cannot be used: {named}{', ...' if len(broken) > NAMED else ''}"


def write(text: str) -> None:
    """Write to standard output without buffering. If the reader has closed the pipe, the work continues without output."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        from ser.system.console import Output

        Output().on_broken_pipe()


def write_file(path: Path, texts: Iterable[str]) -> None:
    """Write the file atomically; after Ctrl-C it contains the finished predictions."""
    from ser.system.console import say

    with atomic_write(path) as file:
        for text in texts:
            file.write(text.encode())
    say(f"written: {printable(str(path))}")


# -- the table ----------------------------------------------------------------------------


def print_outcomes(outcomes: Iterable[Outcome], count: int) -> None:
    """A table with a row for each recording, and the segments of a single long one. Nothing for a single file that cannot be used, which
    is an error. Of several recordings only the rows are kept in memory."""
    rows: list[tuple[str | None, ...]] = []
    segments: tuple[Passage, ...] = ()
    for outcome in outcomes:
        if count == 1 and outcome.prediction is None:
            return
        rows.append(row_of(outcome))
        segments = outcome.prediction.segments if count == 1 and outcome.prediction else ()
    if rows:
        from ser.system.console import print_table

        print_table("predictions", ("recording", "emotion", "likeliest, %", "remarks", "seconds", "of speech"), rows, text_columns=4)
    if len(segments) > 1:
        print_timeline(segments)


def print_timeline(segments: Sequence[Passage]) -> None:
    from ser.system.console import print_table, say

    rows = [(minutes(segment.start), minutes(segment.end), segment.emotion, likeliest(segment)) for segment in segments[:MOST_ROWS]]
    print_table("timeline", ("from", "to", "emotion", "likeliest, %"), rows, text_columns=4)
    if len(segments) > MOST_ROWS:
        say(f"and {len(segments) - MOST_ROWS} more: use --format json, rttm or srt for all")


def row_of(outcome: Outcome) -> tuple[str | None, ...]:
    prediction = outcome.prediction
    if prediction is None:
        return (printable(outcome.name), "-", None, printable(str(outcome.error)), None, None)
    sizes = (f"{prediction.seconds:.1f}", f"{prediction.speech_seconds:.1f}")
    return (printable(outcome.name), prediction.emotion, likeliest(prediction), " ".join(prediction.warnings), *sizes)


def likeliest(answer: Prediction | Passage) -> str:
    """The likeliest emotions with their probabilities; the first is the confidence."""
    first = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:NAMED]
    return ", ".join(f"{name} {percent(share)}" for name, share in first)


def minutes(seconds: float) -> str:
    """
    >>> minutes(3725.25)
    '1:02:05.2'
    """
    tenths = int(10 * seconds)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
