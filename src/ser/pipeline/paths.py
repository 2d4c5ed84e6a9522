"""The paths of all files below the processed folder; no other module knows them."""

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
    """The listeners' votes on the clips of CREMA-D; only if the owners' table is beside the audio."""
    return processed(project) / "votes.csv"


def split_folder(config: ExperimentConfig) -> Path:
    """Folder with {train,val,test}.csv and the certificate."""
    return processed(config.project) / "splits" / config.split.name


def normaliser_file(config: ExperimentConfig, key: str) -> Path:
    """The normaliser that the load step fits on train; `key` distinguishes the features that share a split."""
    return split_folder(config) / f"normaliser-{key}.json"


def features_folder(project: ProjectConfig) -> Path:
    """Folder with one store for each group of features."""
    return processed(project) / "features"


def lock_file(project: ProjectConfig) -> Path:
    """The lock held by the step that is writing below the processed folder."""
    return processed(project) / ".lock"
