"""The census of the real corpora, where they are at hand: in $SER_REAL_DATA, or in data/raw."""

import os
from collections import Counter
from pathlib import Path

import pytest

from ser.config import ExperimentConfig, ProjectConfig
from ser.corpora.census import find_files, take_census
from ser.corpora.folders import find_corpus_folder
from ser.corpora.registry import CORPORA

RAW = Path(os.environ.get("SER_REAL_DATA", "data/raw"))


@pytest.mark.slow
@pytest.mark.skipif(not all(find_corpus_folder(RAW, name) for name in CORPORA), reason=f"{RAW} does not hold all four corpora")
def test_the_real_trees_give_12154_clips_and_8_reasons() -> None:
    census = take_census(find_files(RAW, CORPORA), ExperimentConfig(project=ProjectConfig(raw_dir=str(RAW))))
    assert len(census.manifest) == 12_154
    for corpus in CORPORA.values():
        used = census.manifest.select(corpus=corpus.name)
        assert len(used) == corpus.num_clips
        assert {utterance.speaker.split("/")[1] for utterance in used} == set(corpus.speakers)
        # a tree that stands twice is found twice and used once
        assert census.found[corpus.name] % corpus.num_files == 0
    if sum(census.found.values()) == 12_162:
        assert Counter(row.reason for row in census.skipped) == {"conflicting-label": 6, "silent": 1, "duplicate-samples": 1}
    assert census.warnings["stereo"] == 5
    assert census.warnings["name-content-mismatch"] == 2
