"""extract: data/raw -> manifest.csv, skipped.csv and the split."""

import logging
from pathlib import Path

from ser.census import Census, check_census, summary, take_census, write_skipped
from ser.config import ExperimentConfig
from ser.files import exclusive_lock
from ser.manifest import write_manifest

log = logging.getLogger(__name__)

MANIFEST_NAME = "manifest.csv"
SKIPPED_NAME = "skipped.csv"


def extract(config: ExperimentConfig) -> Census:
    """Index the corpora and split them by speaker.

    Raises:
        DataError: no audio, or too much of a corpus is damaged (skipped.csv then tells which files, the manifest stays as it was).
        LockedError: another process writes to the processed folder.
    """
    processed = Path(config.project.processed_dir)
    with exclusive_lock(processed / ".lock"):
        census = take_census(config)
        write_skipped(processed / SKIPPED_NAME, census.skipped)
        for line in summary(census):
            log.info("%s", line)
        check_census(census, config.project.max_unreadable)
        write_manifest(processed / MANIFEST_NAME, census.manifest)
        return census
