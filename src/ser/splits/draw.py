"""Draw of speakers or clips for val and test.

Names are sorted by a seeded hash instead of being shuffled, so the draw in one corpus does not depend on other corpora, on the order of
files or on the version of a random generator.
"""

import hashlib
from collections import defaultdict
from collections.abc import Iterable, Mapping

from ser.config import SplitConfig
from ser.corpora.manifest import Utterance
from ser.splits.certificate import SPLIT_NAMES, Entry

Genders = dict[str, list[str]]
"""{gender: speakers of one corpus in drawing order}"""


def draw_speakers(utterances: Iterable[Utterance], config: SplitConfig, warnings: list[str]) -> dict[str, str]:
    """speaker -> split, drawn within each corpus and gender.

    Args:
        warnings: takes a sentence for each corpus that has too few speakers for all splits.
    """
    genders: dict[str, dict[str, str]] = defaultdict(dict)
    for utterance in utterances:
        genders[utterance.corpus].setdefault(utterance.speaker, utterance.gender)
    homes: dict[str, str] = {}
    for corpus, gender_of in genders.items():
        drawn = draw_corpus(gender_of, config)
        homes |= drawn
        missing = [name for name in SPLIT_NAMES if name not in drawn.values()]
        if missing:
            warnings.append(f"{corpus} has {len(gender_of)} speaker(s): none of them is in {' and '.join(missing)}")
    return homes


def draw_corpus(gender_of: Mapping[str, str], config: SplitConfig) -> dict[str, str]:
    """Draw the speakers of one corpus. Of three or more, every split gets one; of two, train and test get one each; one is for train."""
    left: Genders = defaultdict(list)
    for speaker in sorted(gender_of, key=lambda name: drawing_key(config.seed, name)):
        left[gender_of[speaker]].append(speaker)
    homes = dict.fromkeys(gender_of, "train")
    totals = {gender: len(speakers) for gender, speakers in left.items()}
    if len(gender_of) >= 2:
        reserve = min(len(gender_of) - 1, 2)
        homes |= dict.fromkeys(take(left, totals, config.test_share, reserve), "test")
    if len(gender_of) >= 3:
        homes |= dict.fromkeys(take(left, totals, config.val_share, 1), "val")
    return homes


def take(left: Genders, totals: Mapping[str, int], share: float, reserve: int) -> list[str]:
    """Remove and return round(share) of each gender: at least one speaker in total, and such that at least `reserve` speakers are left."""
    counts = {gender: min(round(share * totals[gender]), len(left[gender])) for gender in sorted(left)}
    if not any(counts.values()):
        counts[largest({gender: len(speakers) for gender, speakers in left.items()})] = 1
    while sum(map(len, left.values())) - sum(counts.values()) < reserve:
        counts[largest(counts)] -= 1
    taken = []
    for gender, count in counts.items():
        taken += left[gender][:count]
        del left[gender][:count]
    return taken


def largest(counts: Mapping[str, int]) -> str:
    """The gender with the highest count; of equal ones, the first by name."""
    return max(sorted(counts), key=lambda gender: counts[gender])


def drawing_key(seed: int, name: str) -> str:
    return hashlib.sha256(f"{seed}/{name}".encode()).hexdigest()


def draw_utterances(entries: Iterable[Entry], config: SplitConfig) -> dict[str, str]:
    """Draw clips within each corpus and label regardless of speakers; return {id: split}."""
    strata: dict[tuple[str, int], list[str]] = defaultdict(list)
    for entry in entries:
        strata[entry.corpus, entry.label].append(entry.id)
    homes: dict[str, str] = {}
    for ids in strata.values():
        ids.sort(key=lambda utterance_id: drawing_key(config.seed, utterance_id))
        test = round(config.test_share * len(ids))
        val = test + round(config.val_share * len(ids))
        homes |= {**dict.fromkeys(ids[:test], "test"), **dict.fromkeys(ids[test:val], "val")}
    return homes
