"""What is exported: the model of a finished run as torch has it, all in fp32, with its calibration."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any, cast

from ser.errors import DataError
from ser.evaluation.calibration import Calibration, calibration_of
from ser.features.family import FeatureFamily
from ser.features.registry import get_family
from ser.inference.exported_facts import BackboneFacts
from ser.inference.header import read_header
from ser.inference.recogniser import FeatureInput, Recogniser
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
        """Of torch; its layers are found by their names."""
        return self.recogniser.model

    @property
    def backbone(self) -> FeatureInput | None:
        """The input that a speech backbone computes, if there is one."""
        return next((source for source in self.recogniser.inputs if family_of_input(source).runs_backbone), None)

    def backbone_facts(self, inside: bool) -> BackboneFacts | None:
        """None for a model without."""
        source = self.backbone
        facts = family_of_input(source).backbone_facts(source.extractor, source.store) if source else None
        return None if facts is None else cast(BackboneFacts, {"where": "inside" if inside else "absent", **facts})


def family_of_input(source: FeatureInput) -> FeatureFamily:
    return get_family(source.extractor.name)


def read_original(run: Run, backbone: str | None = None) -> Original:
    """
    Args:
        backbone: folder or hub model, for a run with one that has moved.

    Raises:
        ConfigError: the backbone is not the one that the model was trained with, or nobody says where it is.
        DataError: the folder is no finished run.
        ArtefactError: the checkpoint or the calibration is corrupted.
    """
    if not run.best.is_file():
        raise DataError(f"{run.folder} is no finished run: it holds no {run.best.name}")
    family = read_header(run.best, load_checkpoint(run.best)).model.name
    recogniser = Recogniser.load(run.best, backbone, device="cpu")
    recogniser.inputs = tuple(map(in_fp32, recogniser.inputs))
    return Original(family, recogniser, calibration_of(run.calibration, recogniser.weights), made_with(run, recogniser.corpora))


def in_fp32(source: FeatureInput) -> FeatureInput:
    """A graph computes in fp32, also where the features of the training were computed in bf16."""
    extractor = family_of_input(source).exact(source.extractor)
    return source if extractor is source.extractor else replace(source, extractor=extractor)


def made_with(run: Run, trained_on: Iterable[str]) -> tuple[str, ...]:
    """The corpora whose licences the model carries: of train, and of val, to which epoch, temperature and threshold were fitted."""
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: without it nobody knows which licences the model carries")
    speakers = read_certificate(path).splits["val"].speakers
    return tuple(sorted({*trained_on, *(speaker.partition("/")[0] for speaker in speakers)}))
