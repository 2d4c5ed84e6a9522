"""`ser protocol list` and `ser protocol show`: the definitions of the protocols. Imports nothing that trains."""

from collections.abc import Sequence

from ser.splits.protocols import Fold, find_protocol, read_protocols
from ser.system.console import print_table, say


def print_list() -> None:
    """One line for each protocol."""
    rows = [
        (known.name, known.version, ", ".join(known.corpora), len(known.folds), known.speakers, known.checksum[:12], known.title)
        for known in read_protocols().values()
    ]
    print_table("protocols", ("name", "version", "corpora", "folds", "speakers", "checksum", "title"), rows, text_columns=7)


def print_protocol(name: str) -> None:
    """Print a protocol with all its speakers.

    Raises:
        ConfigError: there is no protocol of this name.
    """
    protocol = find_protocol(name)
    say(f"{protocol.name}, version {protocol.version}: {protocol.title}")
    say(f"source: {protocol.source}")
    say(f"validation: {protocol.validation}")
    say("speakers: " + ("in both train and test" if protocol.speakers == "shared" else "speakers of test are never in train"))
    say(f"transductive: {'yes' if protocol.transductive else 'no'}")
    say(f"checksum: {protocol.checksum}")
    rows = [
        (
            fold.name,
            ", ".join(fold.corpora),
            *fold.counts.model_dump().values(),
            f"{fold.published.train} / {fold.published.test}" if fold.published else "",
        )
        for fold in protocol.folds
    ]
    header = ("fold", "corpora", "train", "val", "test", "published train / test")
    print_table("clips after screening, on the complete corpora", header, rows, text_columns=2)
    for fold in protocol.folds:
        val = f"; validation {clips_or_speakers(fold.val_speakers, fold.val_ids)}" if fold.val_speakers or fold.val_ids else ""
        say(f"{fold.name}: test {clips_or_speakers(fold.test_speakers, fold.test_ids)}{val}; classes {classes_of_fold(fold)}")


def clips_or_speakers(speakers: Sequence[str], ids: Sequence[str]) -> str:
    """The speakers, or the number of clips."""
    return f"{len(ids)} listed clips" if ids else ", ".join(speakers)


def classes_of_fold(fold: Fold) -> str:
    merged = [f"{source} counted as {target}" for source, target in fold.labels.merge.items()]
    return ", ".join([*map(str, fold.labels.keep), *merged])
