"""`ser predict`: what a trained model says of files, folders, patterns and standard input."""

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
"""An argument that stands for standard input."""
STDIN_NAME = "stdin"
"""What the recording from there is called."""
TABLE = "table"
ALONE = ("srt",)
"""Formats that tell of one recording."""
NAMED = 3
"""Broken files that are named in a message, and emotions in a cell."""
MOST_ROWS = 200
"""Of the table of segments; the other formats hold them all."""

Source = str | Path | Outcome
"""Of a folder that cannot be listed that is the outcome already."""
Paths = Sequence[str]


def predict(
    paths: Paths, options: PredictOptions, form: str | None = None, output: str | None = None, embedding: str | None = None
) -> None:
    """Print what a model says. Every file is heard, also behind a broken one.

    Args:
        paths: files, folders (at any depth: what ends like audio), patterns such as `calls/**/*.wav`, or `-` for one on standard input.
            What is meant several times is heard once.
        form: one of `FORMATS`, or table; None: table, or what the suffix of `output` says.
        output: file that is written instead of standard output.
        embedding: .npy or .csv file for the embeddings of the recordings, written as well.

    Raises:
        ConfigError: no such format, or a table for a file; a file that cannot be written; standard input twice; an empty path; srt of
            several recordings; a model among the paths, or none at all; else as of `Predictor.from_options`.
        AudioError: a single file was given and cannot be used.
        DataError: some files cannot be used, once all others are printed; a folder or a pattern holds no audio.
        KeyboardInterrupt: Ctrl-C, once what was finished until then is printed.
    """
    file = None if output is None else user_path(output)
    form = choose_format(form, file)
    sources = find_sources(paths, form)
    if file is not None:
        refuse_place(file, "--output")
    vectors = None if embedding is None else EmbeddingFile(user_path(embedding))
    predictor = Predictor.from_options(options)
    between_lines = file is None and form != TABLE and sys.stdout.isatty()  # a bar between the lines of a terminal would spoil both
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
        ConfigError: as of `predict`.

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
    """Errors as of `predict`."""
    paths = [expand_home(path) for path in paths]
    if not paths:
        raise ConfigError(f"nothing to hear: give files, folders, patterns, {STDIN} for standard input, or --mic")
    if paths.count(STDIN) > 1:
        raise ConfigError(f"{STDIN} stands for standard input, which can be read once")
    for path in paths:
        if not path:
            raise ConfigError("an empty path: give . for the folder here")
        if is_model(Path(path)):
            raise ConfigError(f"{printable(path)} is a model and no recording: give it with --model")
    first: dict[str, Source] = {}
    for source in (source for path in paths for source in find_at(path)):
        first.setdefault(identity(source), source)
    sources = list(first.values())
    if form in ALONE and len(sources) > 1:
        raise ConfigError(f"--format {form} tells of one recording, and here are {len(sources)}")
    return sources


def identity(source: Source) -> str:
    """The same for every spelling of a path."""
    return STDIN if source == STDIN else os.path.realpath(name_of(source))


def name_of(source: Source) -> str:
    return source.name if isinstance(source, Outcome) else str(source)


def find_at(path: str) -> list[Source]:
    """The files of one argument; a file that is not there stays, to be answered with its reason."""
    if path == STDIN:
        return [STDIN]
    if has_magic(path) and not Path(path).exists():
        found = [source for match in matches(path) for source in below(match)]
        return nonempty(found, f"{printable(path)} matches no audio file")
    return nonempty(below(Path(path)), f"{printable(path)} holds no file that ends like audio")


def matches(pattern: str) -> list[Path]:
    """What a pattern matches. Folders at its start that exist under that very name are no pattern: `calls [2024]/*.wav`."""
    parents = Path(pattern).parents
    folder = next((parent for parent in parents if has_magic(str(parent)) and parent.is_dir()), None)
    if folder is not None:
        pattern = os.path.join(escape(str(folder)), Path(pattern).relative_to(folder))  # noqa: PTH118 - what follows is a pattern
    return [Path(match) for match in sorted(glob(pattern, recursive=True))]  # noqa: PTH207 - Path takes no absolute pattern


def below(path: Path) -> list[Source]:
    """The files of a folder, and what is below it and cannot be listed."""
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
    """One outcome for each source, in their order; progress over files, or over the seconds of a single one."""
    if len(sources) == 1:
        yield predict_source(predictor, sources[0], track_seconds)
        return
    with track_files(len(sources)) if progress else Silent() as advance:
        for source in sources:
            yield predict_source(predictor, source)
            advance(1)


def predict_source(predictor: Predictor, source: Source, track: Tracker | None = None) -> Outcome:
    """One recording; what is wrong with it is kept."""
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
    """Nothing where whoever started the program has closed it."""
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
    """Outcomes as they come. Ctrl-C ends them as if there were no more, so that what was finished is printed.

    Attributes:
        broken: those without a prediction.
        stopped: Ctrl-C, if it was that.
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
    """One line about what could not be used."""
    if count == 1:
        return f"{printable(broken[0].name)}: {broken[0].error}"
    named = ", ".join(f"{printable(outcome.name)} ({outcome.error.reason if outcome.error else ''})" for outcome in broken[:NAMED])
    return f"{len(broken)} of {count} files cannot be used: {named}{', ...' if len(broken) > NAMED else ''}"


def write(text: str) -> None:
    """To standard output, at once. Where nobody reads on, the work goes on in silence."""
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        from ser.system.console import Output

        Output().on_broken_pipe()


def write_file(path: Path, texts: Iterable[str]) -> None:
    """The file appears when it is complete; after Ctrl-C it is complete with what was finished."""
    from ser.system.console import say

    with atomic_write(path) as file:
        for text in texts:
            file.write(text.encode())
    say(f"written: {printable(str(path))}")


# -- the table ----------------------------------------------------------------------------


def print_outcomes(outcomes: Iterable[Outcome], count: int) -> None:
    """A row for each of so many recordings; of a single long one its segments as well. Nothing of a single broken one, which is an error.
    Of many only the rows are kept."""
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
        say(f"and {len(segments) - MOST_ROWS} more: --format json, rttm or srt shows all")


def row_of(outcome: Outcome) -> tuple[str | None, ...]:
    prediction = outcome.prediction
    if prediction is None:
        return (printable(outcome.name), "-", None, printable(str(outcome.error)), None, None)
    sizes = (f"{prediction.seconds:.1f}", f"{prediction.speech_seconds:.1f}")
    return (printable(outcome.name), prediction.emotion, likeliest(prediction), " ".join(prediction.warnings), *sizes)


def likeliest(answer: Prediction | Passage) -> str:
    """The first is the confidence."""
    first = sorted(answer.probabilities.items(), key=lambda item: -item[1])[:NAMED]
    return ", ".join(f"{name} {percent(share)}" for name, share in first)


def minutes(seconds: float) -> str:
    """
    >>> minutes(3725.25)
    '1:02:05.2'
    """
    tenths = int(10 * seconds)
    return f"{tenths // 36000}:{tenths // 600 % 60:02}:{tenths // 10 % 60:02}.{tenths % 10}"
