"""Splits with explicit lists of speakers or utterance ids for val and test."""

from collections.abc import Collection, Iterable, Sequence
from difflib import get_close_matches

from ser.config import SplitConfig
from ser.corpora.manifest import Manifest
from ser.errors import DataError
from ser.splits.certificate import Entry
from ser.wording import examples


def explicit_speakers(entries: Iterable[Entry], config: SplitConfig) -> dict[str, str]:
    """{speaker: `val` or `test`} from the lists of the config. Raises the errors of `refuse_unknown`."""
    known = {entry.speaker for entry in entries}
    refuse_unknown("speaker", [*config.val_speakers, *config.test_speakers], known)
    return homes_of(config.val_speakers, config.test_speakers)


def explicit_ids(
    entries: Iterable[Entry], manifest: Manifest, config: SplitConfig, skipped_ids: Collection[str], warnings: list[str]
) -> dict[str, str]:
    """id -> `val` or `test`, as listed, without those that were screened out or whose emotion or corpus takes no part.

    Args:
        warnings: takes a sentence about each of these two.
    """
    homes = homes_of(config.val_ids, config.test_ids)
    skipped = set(skipped_ids)
    screened = [i for i in homes if i not in manifest and i in skipped]
    refuse_unknown("id", [i for i in homes if i not in manifest and i not in skipped], {utterance.id for utterance in manifest})
    if screened:
        warnings.append(f"{len(screened)} listed id(s) were screened out and take no part: {examples(screened)}")
    kept = {entry.id for entry in entries}
    others = [i for i in homes if i in manifest and i not in kept]
    if others:
        warnings.append(f"{len(others)} listed id(s) have another emotion or corpus and take no part: {examples(others)}")
    return {i: home for i, home in homes.items() if i in kept}


def homes_of(val: Sequence[str], test: Sequence[str]) -> dict[str, str]:
    """{name: `val` or `test`}"""
    return {**dict.fromkeys(val, "val"), **dict.fromkeys(test, "test")}


def refuse_unknown(what: str, names: Iterable[str], known: Collection[str]) -> None:
    """Check that all names are known.

    Raises:
        DataError: some names are unknown; the message has them, and the known name nearest to the first.
    """
    unknown = [name for name in names if name not in known]
    if unknown:
        nearest = get_close_matches(unknown[0], sorted(known), n=1, cutoff=0)
        hint = f"; nearest to {unknown[0]} is {nearest[0]}" if nearest else ""
        raise DataError(f"the split lists {len(unknown)} unknown {what}(s): {examples(unknown)}{hint}")
