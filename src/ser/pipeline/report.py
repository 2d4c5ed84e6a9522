"""Write the report, a page, and the model card of a finished run into its folder."""

import logging
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from ser.config import ExperimentConfig, ProjectConfig
from ser.config_file import override
from ser.corpora.manifest import Manifest, read_manifest
from ser.errors import ArtefactError, ConfigError, DataError, SerError
from ser.features.registry import backbone_of
from ser.home import user_path
from ser.pipeline import paths
from ser.report.build import build_page
from ser.report.card import model_card
from ser.report.examples import Recordings
from ser.report.facts import RunFacts, read_facts
from ser.report.page import render_page
from ser.runs.compare import flatten
from ser.system.console import say
from ser.system.files import exclusive_lock, remove_leftovers, write_text
from ser.system.optional import require

if TYPE_CHECKING:
    from ser.inference.recogniser import Recogniser
    from ser.report.robustness import Robustness

log = logging.getLogger(__name__)

REPORT = "report.html"
"""The report, in the run's folder."""
CARD = "MODEL_CARD.md"
"""The model card, beside it."""
FOLDERS = tuple(f"project.{name}" for name in ProjectConfig.model_fields if name.endswith("_dir"))
SETTABLE = (*FOLDERS, "runtime.threads", "runtime.workers", "ssl.model_id", "ssl.device", "train.device")
"""Settings that a report may change: the places of files, and the device."""


def report(run: str, *, audio: bool = True, clips: int = 400, settings: Sequence[str] = ()) -> Path:
    """Write report.html and MODEL_CARD.md into the folder of a finished run, and return the path of the page.

    Args:
        audio: put the sound of the examples into the page.
        clips: number of test clips to measure robustness with; 0 leaves it out.
        settings: `key.sub=value` for files in another place than during training, such as project.raw_dir.

    Raises:
        ConfigError: the extra `viz` is not installed, a setting would change what was trained, or its device is not available.
        DataError: the folder is not a finished run.
        ArtefactError: a file of the run is corrupted.
        LeakageError: the run's certificate is not valid.
        LockedError: another process is writing into the run's folder.
    """
    refuse_without_libraries()
    facts = read_facts(user_path(run))
    here = located(facts.config, settings)
    refuse_absent_devices(here, settings)
    with exclusive_lock(facts.run.lock):
        remove_leftovers(facts.run.folder)
        manifest = manifest_here(here)
        recogniser, why_not = load_recogniser(facts, here)
        recordings = Recordings(
            manifest=manifest,
            raw=Path(here.project.raw_dir),
            samples=facts.certificate.splits["test"].samples,
            audio=facts.config.audio,
            features=facts.config.features,
            recogniser=recogniser,
        )
        robustness = why_not or measure(facts, recordings, clips)
        page, card = render_page(build_page(facts, recordings, why_not, robustness, audio)), model_card(facts, robustness)
        write_text(facts.run.folder / CARD, card)
        write_text(facts.run.folder / REPORT, page)
    say(f"{facts.run.folder / REPORT} ({len(page) / 1e6:.1f} MB) and {CARD}")
    return facts.run.folder / REPORT


def refuse_without_libraries() -> None:
    require("a report", ["matplotlib", "jinja2"], "viz")


def located(config: ExperimentConfig, settings: Sequence[str]) -> ExperimentConfig:
    """The config of the run with the changed settings.

    Raises:
        ConfigError: a setting is not valid, or not one of `SETTABLE`.
    """
    here = override(config, settings)
    stored, wanted = (flatten(settled.model_dump(mode="json")) for settled in (config, here))
    others = [key for key in wanted if stored.get(key) != wanted[key] and key not in SETTABLE]
    if others:
        raise ConfigError(f"--set {', '.join(others)}: this is fixed by the run; a report accepts {', '.join(SETTABLE)}")
    return here


def refuse_absent_devices(here: ExperimentConfig, settings: Sequence[str]) -> None:
    """Check that a device named by this command is available; the one that the run was trained on may be replaced.

    Raises:
        ConfigError: it is not available.
    """
    from ser.system.device import choose_device

    named = {setting.partition("=")[0].strip() for setting in settings}
    for section, key in ((here.train, "train.device"), (here.ssl, "ssl.device")):
        if key in named:
            choose_device(section)


def manifest_here(config: ExperimentConfig) -> Manifest | None:
    try:
        return read_manifest(paths.manifest_file(config.project))
    except DataError as error:
        log.warning("no recordings: %s (from another folder: --set project.processed_dir=FOLDER and project.raw_dir=FOLDER)", error)
        return None


def load_recogniser(facts: RunFacts, config: ExperimentConfig) -> tuple["Recogniser | None", str | None]:
    """The model, or the reason why it is not available: its backbone is missing, or its version computed other features.

    Raises:
        ArtefactError: best.pth is corrupted, or its weights are not those that were measured.
    """
    from ser.inference.recogniser import Recogniser
    from ser.runs.checkpoint import digest, load_checkpoint
    from ser.system.device import prepare_process

    prepare_process(config.runtime)
    best = facts.run.best
    if digest(load_checkpoint(best).get("weights")) != facts.outcome.weights:
        raise ArtefactError(f"the weights in {best} are not those that {facts.run.metrics} was measured with")
    try:
        return Recogniser.load(best, backbone_of(config), config.train.device), None
    except SerError as error:
        log.warning("the model is not available: %s", error)
        return None, "the model is not available; a warning of ser report gives the reason."


def measure(facts: RunFacts, recordings: Recordings, clips: int) -> "Robustness | str":
    """Robustness, or the reason why it is not measured."""
    from ser.report.robustness import measure_robustness

    if not clips:
        return "it was turned off (--clips 0)."
    if recordings.manifest is None or recordings.recogniser is None:
        return "the manifest with the places of the recordings is missing."
    try:
        return measure_robustness(recordings.recogniser, facts.entries["test"], recordings.manifest, recordings.raw, clips)
    except DataError as error:
        log.warning("robustness is not measured: %s", error)  # logged only: it names folders, which may be private
        return "none of the chosen recordings can be read."
