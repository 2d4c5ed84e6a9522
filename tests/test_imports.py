"""What is loaded is paid for by every command and every worker process: torch costs seconds, pandas and scikit-learn 100 to 200 MB."""

import pytest

from processes import loaded_by

LIGHT_MODULES = [
    "config", "config_file", "cli", "system.parallel", "audio.decode", "audio.waveform", "corpora.registry", "corpora.census",
    "features.spectral", "features.store", "features.source", "runs.run", "splits.split", "evaluation.metrics", "evaluation.scores",
    "inference.predictor", "inference.exported", "serve.app", "serve.worker",
]  # fmt: skip


def test_the_light_modules_load_nothing_heavy() -> None:
    assert not loaded_by("import " + ", ".join(f"ser.{name}" for name in LIGHT_MODULES))


def test_to_know_a_corpus_no_numbers_are_needed() -> None:
    """What `ser protocol list` loads."""
    assert not loaded_by("import ser.corpora.registry", {"numpy"})


def test_a_worker_loads_nothing_heavy() -> None:
    """All that the extract and transform steps run in their worker processes."""
    assert not loaded_by("import ser.pipeline.extract, ser.pipeline.transform")


def test_the_version_of_the_augmentation_library_is_asked_without_loading_it() -> None:
    """Load and train need no more of it."""
    assert not loaded_by("import ser.audio.augment\nser.audio.augment.library_version()")


@pytest.mark.parametrize("arguments", [["--help"], ["demo", "--help"], ["--version"]])
def test_help_answers_without_anything_heavy(arguments: list[str]) -> None:
    program = f"""
import sys
from ser.cli import main
sys.argv = ["ser", *{arguments!r}]
try:
    main()
except SystemExit as end:
    assert not end.code, end.code
"""
    assert not loaded_by(program)


def test_the_search_for_heavy_packages_finds_one() -> None:
    assert loaded_by("import ser.training.losses") == {"torch"}
