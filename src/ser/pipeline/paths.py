"""Where things stand on disk: the one place that knows the folders of design's data layout."""

from pathlib import Path

from ser.config import ExperimentConfig, ProjectConfig


def processed(project: ProjectConfig) -> Path:
    return Path(project.processed_dir)


def manifest_file(project: ProjectConfig) -> Path:
    """One row for each utterance that is used."""
    return processed(project) / "manifest.csv"


def skipped_file(project: ProjectConfig) -> Path:
    """One row for each file that is not."""
    return processed(project) / "skipped.csv"


def votes_file(project: ProjectConfig) -> Path:
    """What listeners heard in the clips of CREMA-D; only where the owners' table lies beside the audio."""
    return processed(project) / "votes.csv"


def split_folder(config: ExperimentConfig) -> Path:
    """{train,val,test}.csv and the certificate."""
    return processed(config.project) / "splits" / config.split.name


def normaliser_file(config: ExperimentConfig, key: str) -> Path:
    """What the load step fits on train; `key` tells the features apart that share a split."""
    return split_folder(config) / f"normaliser-{key}.json"


def features_folder(project: ProjectConfig) -> Path:
    """One store for each group of features."""
    return processed(project) / "features"


def lock_file(project: ProjectConfig) -> Path:
    """Held by the step that writes below the processed folder."""
    return processed(project) / ".lock"
