"""What is exported: the model of a finished run as torch has it, all in fp32, with its calibration."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, cast

from ser.errors import DataError
from ser.evaluation.calibration import Calibration, calibration_of
from ser.features.backbone import BackboneExtractor
from ser.features.backbone_files import read_licence
from ser.inference.exported_facts import BackboneFacts
from ser.inference.header import read_header
from ser.inference.recogniser import Ear, Recogniser
from ser.runs.checkpoint import load_checkpoint
from ser.runs.run import Run
from ser.splits.certificate import read_certificate
from ser.splits.split import CERTIFICATE_FILE


@dataclass(frozen=True)
class Original:
    """A trained model, ready to be written as a graph."""

    family: str
    recogniser: Recogniser
    calibration: Calibration
    made_with: tuple[str, ...]
    """Corpora whose licences it carries."""

    @property
    def network(self) -> Any:
        """Of torch."""
        return self.recogniser.model

    @property
    def backbone(self) -> Ear | None:
        """The ear that hears with a speech backbone, if there is one."""
        return next((ear for ear in self.recogniser.ears if isinstance(ear.extractor, BackboneExtractor)), None)

    def backbone_facts(self, inside: bool) -> BackboneFacts | None:
        """None for a model without."""
        ear = self.backbone
        if ear is None:
            return None
        assert isinstance(ear.extractor, BackboneExtractor)
        found, config = ear.extractor.backbone, ear.extractor.config
        facts = {
            "where": "inside" if inside else "absent",
            "kind": found.kind,
            **found.identity,
            "layers": list(ear.extractor.states),
            "sample_rate": found.sample_rate,
            "frame_rate": ear.extractor.frame_rate,
            "time_pool": config.time_pool,
            "trained_in": ear.store.ingredients.get("precision"),
            "licence": read_licence(Path(found.location)),
        }
        return cast(BackboneFacts, facts)


def read_original(run: Run, backbone: str | None = None) -> Original:
    """
    Args:
        backbone: folder or hub model, for a run with one that has moved.

    Raises:
        ConfigError: the backbone is not the one that the model was trained with, or nobody says where it is.
        DataError: the folder is no finished run.
        ArtefactError: the checkpoint or the calibration is damaged.
    """
    if not run.best.is_file():
        raise DataError(f"{run.folder} is no finished run: it holds no {run.best.name}")
    family = read_header(run.best, load_checkpoint(run.best)).model.name
    recogniser = Recogniser.load(run.best, backbone, device="cpu")
    recogniser.ears = tuple(in_fp32(ear) for ear in recogniser.ears)
    return Original(family, recogniser, calibration_of(run.calibration, recogniser.weights), made_with(run, recogniser.corpora))


def in_fp32(ear: Ear) -> Ear:
    """A graph computes in fp32, also where the features of the training were computed in bf16."""
    extractor = ear.extractor
    if not isinstance(extractor, BackboneExtractor) or extractor.precision == "fp32":
        return ear
    config = extractor.config.model_copy(update={"precision": "fp32"})
    return replace(ear, extractor=BackboneExtractor(config, extractor.backbone.sample_rate))


def made_with(run: Run, trained_on: Iterable[str]) -> tuple[str, ...]:
    """The corpora whose licences the model carries: of train, and of val, to which epoch, temperature and threshold were fitted."""
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: without it nobody knows which licences the model carries")
    speakers = read_certificate(path).splits["val"].speakers
    return tuple(sorted({*trained_on, *(speaker.partition("/")[0] for speaker in speakers)}))
