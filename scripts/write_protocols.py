#!/usr/bin/env python3
"""Writes src/ser/protocols.json: every protocol with every fold spelled out, and the clips that each part has on the complete corpora.

    python scripts/write_protocols.py --published FILE [--processed data/processed] [--check]

FILE holds the published folds as their authors give them (corpus, speakers or file names); data/processed the manifest of all four complete
corpora. With --check it writes nothing and fails where the file is not what it would write. A fold that changes asks for a new version.
"""

import argparse
import json
import logging
import sys
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from ser.config import LabelMapping, SplitConfig
from ser.corpora.census import SKIPPED_COLUMNS, Skipped
from ser.corpora.manifest import Manifest, read_manifest
from ser.corpora.registry import CORPORA
from ser.emotions import EMOTIONS
from ser.pipeline.extract import skipped_ids
from ser.splits.draw import draw_speakers, drawing_key
from ser.splits.protocols import CELL, FILE, Counts, Fold, checksum
from ser.splits.split import make_split
from ser.system.files import read_json
from ser.system.tables import read_table

VERSION = 1
SEED = 42
VAL_SHARE = 0.17
"""Of the speakers of each gender who would train: of RAVDESS's 20 in a fold of EmoBox, two women and two men."""
MIN_TO_VALIDATE = 8
"""Training speakers of a corpus. With fewer, each is worth more in training."""
CORPUS_NAMES = tuple(sorted(CORPORA))

OWN_VAL = "whole training speakers, drawn: one in six of each gender"
NO_VAL = "none: too few speakers; the epochs come from the config, and the last one counts"
CLIP_VAL = "a tenth of the training clips of each class, drawn; their speakers also train"
PUBLISHED_VAL = "as published"
PARTLY_VAL = "one in six of the training speakers of CREMA-D and RAVDESS; SAVEE and TESS have too few"

PUBLISHED = {
    "ravdess/emobox": ("RAVDESS, 6 folds", OWN_VAL),
    "savee/emobox": ("SAVEE, 4 folds, one speaker each", NO_VAL),
    "crema/emobox": ("CREMA-D, one division by clips", CLIP_VAL),
    "tess/emobox": ("TESS, one division by clips", CLIP_VAL),
    "ravdess/luna-jimenez": ("RAVDESS, 5 folds", PUBLISHED_VAL),
    "ravdess/pepino": ("RAVDESS, one division, calm counted as neutral", PUBLISHED_VAL),
    "crema/audeering": ("CREMA-D, one division", PUBLISHED_VAL),
    "crema/peft-ser": ("CREMA-D, 5 folds of neighbouring actors", PUBLISHED_VAL),
}
MERGED = {"ravdess/pepino": LabelMapping(merge={"calm": "neutral"}, keep=tuple(e for e in EMOTIONS if e != "calm"))}  # type: ignore[misc]

Plain = dict[str, Any]


class Writer:
    """Makes protocols of lists of speakers or clips, on the manifest of the complete corpora."""

    def __init__(self, manifest: Manifest, skipped: Collection[str], published: Mapping[str, Any]) -> None:
        self.manifest, self.skipped, self.published = manifest, skipped, published
        self.emotions = {corpus: {u.emotion for u in manifest.select(corpus=corpus)} for corpus in CORPUS_NAMES}
        self.speakers = {corpus: tuple(f"{corpus}/{name}" for name in CORPORA[corpus].speakers) for corpus in CORPUS_NAMES}

    def protocols(self) -> Iterator[Plain]:
        yield self.holdout()
        yield self.k_fold("kfold5", CORPUS_NAMES, PARTLY_VAL)
        yield self.leave_one_corpus_out()
        yield self.cross_corpus()
        for corpus in ("crema", "ravdess"):
            yield self.k_fold(f"{corpus}/kfold5", [corpus], OWN_VAL)
        for corpus in CORPUS_NAMES:
            yield self.leave_one_speaker_out(corpus)
        for name in PUBLISHED:
            yield self.as_published(name)

    def holdout(self) -> Plain:
        """What `split: {rule: speakers, seed: 42}` draws, the split of the shipped configs."""
        homes = draw_speakers(self.manifest, SplitConfig(), [])
        val, test = (tuple(sorted(speaker for speaker, home in homes.items() if home == name)) for name in ("val", "test"))
        fold = self.fold("1", CORPUS_NAMES, test, val=val)
        return protocol("holdout", "all four corpora, one division", "the split of the shipped configs", "13 % of the speakers", [fold])

    def k_fold(self, name: str, corpora: Sequence[str], validation: str) -> Plain:
        """Speakers of each corpus and gender dealt out in an order drawn by seed."""
        dealt: list[list[str]] = [[] for _ in range(5)]
        for corpus in corpora:
            facts = CORPORA[corpus].speakers
            drawn = sorted(self.speakers[corpus], key=lambda speaker: (facts[speaker.split("/")[1]].gender, drawing_key(SEED, speaker)))
            for place, speaker in enumerate(drawn):
                dealt[place % 5].append(speaker)
        folds = [self.fold(str(number), corpora, test) for number, test in enumerate(dealt, start=1)]
        what = "all four corpora" if len(corpora) > 1 else CORPORA[corpora[0]].title.split(":")[0]
        return protocol(name, f"{what}, 5 folds over speakers", "ser", validation, folds)

    def leave_one_speaker_out(self, corpus: str) -> Plain:
        folds = [self.fold(speaker.split("/")[1], [corpus], [speaker]) for speaker in self.speakers[corpus]]
        title = f"{CORPORA[corpus].title.split(':')[0]}, each speaker tested by a model of all others"
        source = "ser; for SAVEE these are also EmoBox's folds" if corpus == "savee" else "ser"
        return protocol(f"{corpus}/loso", title, source, OWN_VAL if len(folds) > MIN_TO_VALIDATE else NO_VAL, folds)

    def leave_one_corpus_out(self) -> Plain:
        folds = [self.fold(corpus, CORPUS_NAMES, self.speakers[corpus]) for corpus in CORPUS_NAMES]
        title = "all four corpora, each tested by a model of the other three; the classes that both sides have"
        return protocol("leave-one-corpus-out", title, "ser", PARTLY_VAL, folds)

    def cross_corpus(self) -> Plain:
        """On the diagonal the speakers of test are those of the hold-out."""
        homes = draw_speakers(self.manifest, SplitConfig(), [])
        folds = []
        for source in CORPUS_NAMES:
            for target in CORPUS_NAMES:
                held_out = [speaker for speaker in self.speakers[target] if source != target or homes[speaker] == "test"]
                folds.append(self.fold(f"{source}{CELL}{target}", sorted({source, target}), held_out))
        title = "training corpus x test corpus, 4 x 4; the classes that both have; on the diagonal the speakers of the hold-out"
        return protocol("cross-corpus", title, "ser", PARTLY_VAL, folds)

    def as_published(self, name: str) -> Plain:
        stated = self.published[name]
        corpus = stated["corpus"]
        folds = [self.published_fold(name, corpus, fold) for fold in stated["folds"]]
        title, validation = PUBLISHED[name]
        return protocol(name, title, stated["source"], validation, folds, shared=not stated["speaker_independent"])

    def published_fold(self, name: str, corpus: str, stated: Mapping[str, Any]) -> Fold:
        counts = {"train": stated["n_train"] + stated.get("n_val", 0), "test": stated["n_test"]} if "n_test" in stated else None
        if "test_files" in stated:
            return self.fold_of_clips(corpus, stated, counts)
        test, val = ([f"{corpus}/{speaker}" for speaker in stated.get(key, ())] for key in ("test_speakers", "val_speakers"))
        return self.fold(str(stated["fold"]), [corpus], test, val=val or None, labels=MERGED.get(name), published=counts)

    def fold_of_clips(self, corpus: str, stated: Mapping[str, Any], counts: Plain | None) -> Fold:
        test = {f"{corpus}_{name}" for name in stated["test_files"]}
        rest = [u for u in self.manifest.select(corpus=corpus) if u.id not in test]
        val: list[str] = []
        for emotion in sorted(self.emotions[corpus]):
            ids = sorted((u.id for u in rest if u.emotion == emotion), key=lambda i: drawing_key(SEED, i))
            val += ids[: round(len(ids) / 10)]
        return self.counted(
            {"name": str(stated["fold"]), "corpora": [corpus], "labels": self.labels([corpus]), "published": counts},
            {"val_ids": sorted(val), "test_ids": sorted(test)},
        )

    def fold(
        self,
        name: str,
        corpora: Sequence[str],
        test: Sequence[str],
        val: Sequence[str] | None = None,
        labels: LabelMapping | None = None,
        published: Plain | None = None,
    ) -> Fold:
        """Without `val` whole training speakers are drawn for it, where a corpus has enough."""
        training = [speaker for corpus in corpora for speaker in self.speakers[corpus] if speaker not in test]
        sides = [{speaker.split("/")[0] for speaker in speakers} for speakers in (training, test)]
        return self.counted(
            {"name": name, "corpora": list(corpora), "labels": labels or self.labels(*sides), "published": published},
            {"val_speakers": sorted(draw_val(training) if val is None else val), "test_speakers": sorted(test)},
        )

    def counted(self, facts: Plain, lists: Plain) -> Fold:
        """With the clips that each part has."""
        fold = Fold(**facts, **lists, counts=Counts(train=0, val=0, test=0))
        split = make_split(self.manifest, fold.split("counted"), fold.labels_config, self.skipped)
        return fold.model_copy(update={"counts": Counts(**{name: len(rows) for name, rows in split.splits.items()})})

    def labels(self, *sides: Iterable[str]) -> LabelMapping:
        """The classes that every side has in one of its corpora."""
        found = [set().union(*(self.emotions[corpus] for corpus in side)) for side in sides]
        return LabelMapping(keep=tuple(emotion for emotion in EMOTIONS if all(emotion in side for side in found)))  # type: ignore[misc]


def draw_val(training: Sequence[str]) -> Iterator[str]:
    """One in six of each corpus and gender, of corpora with enough training speakers."""
    for corpus in CORPUS_NAMES:
        group = [speaker for speaker in training if speaker.startswith(f"{corpus}/")]
        if len(group) < MIN_TO_VALIDATE:
            continue
        for gender in ("female", "male"):
            chosen = [speaker for speaker in group if CORPORA[corpus].speakers[speaker.split("/")[1]].gender == gender]
            chosen.sort(key=lambda speaker: drawing_key(SEED, speaker))
            yield from chosen[: round(VAL_SHARE * len(chosen))]


def protocol(name: str, title: str, source: str, validation: str, folds: Sequence[Fold], shared: bool = False) -> Plain:
    plain = {
        "name": name,
        "version": VERSION,
        "title": title,
        "source": source,
        "validation": validation,
        "speakers": "shared" if shared else "disjoint",
        "transductive": False,
        "folds": [fold.model_dump(mode="json") for fold in folds],
    }
    return {**plain, "checksum": checksum(plain)}


def as_text(protocols: Iterable[Plain]) -> str:
    """One line for each fold: a change shows where it is."""
    blocks = []
    for item in protocols:
        lines = [f"  {json.dumps(key)}: {json.dumps(value)}" for key, value in item.items() if key not in {"folds", "checksum"}]
        folds = ",\n".join(f"   {json.dumps({k: v for k, v in fold.items() if v not in ([], None)})}" for fold in item["folds"])
        blocks.append(",\n".join([*lines, f'  "folds": [\n{folds}\n  ]', f'  "checksum": {json.dumps(item["checksum"])}']))
    about = "Written by scripts/write_protocols.py. Folds of EmoBox, Luna-Jimenez, Pepino, audEERING and peft-ser: see the source of each."
    return f'{{"about": {json.dumps(about)},\n "protocols": [\n {{\n' + "\n },\n {\n".join(blocks) + "\n }\n]}\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--published", type=Path, required=True)
    parser.add_argument("--processed", type=Path, default=Path("data/processed"))
    parser.add_argument("--check", action="store_true")
    arguments = parser.parse_args()
    logging.disable(logging.WARNING)  # that a fold has no val is no news here
    manifest = read_manifest(arguments.processed / "manifest.csv")
    short = [corpus for corpus in CORPUS_NAMES if len(manifest.select(corpus=corpus)) != CORPORA[corpus].num_clips]
    if short:
        sys.exit(f"{arguments.processed} has not all clips of {', '.join(short)}")
    rows = [Skipped(**row) for row in read_table(arguments.processed / "skipped.csv", SKIPPED_COLUMNS)]
    text = as_text(Writer(manifest, skipped_ids(rows), read_json(arguments.published)).protocols())
    if arguments.check:
        current = FILE.exists() and FILE.read_text(encoding="utf-8") == text
        print(f"{FILE.name} is {'current' if current else 'not what this script writes'}")
        sys.exit(not current)
    FILE.write_text(text, encoding="utf-8")
    print(f"{FILE.name}: {len(text)} characters")


if __name__ == "__main__":
    main()
