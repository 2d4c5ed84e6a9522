"""The original of an export: the torch model of a finished run, in fp32, with its calibration."""

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
    """A trained model that can be written as a graph."""

    family: str
    recogniser: Recogniser
    calibration: Calibration
    made_with: tuple[str, ...]
    """The corpora whose licences apply to the model."""

    @property
    def network(self) -> Any:
        """The network in torch; its layers are found by their names."""
        return self.recogniser.model

    @property
    def backbone(self) -> FeatureInput | None:
        """The input that is computed by a speech backbone, if there is one."""
        return next((source for source in self.recogniser.inputs if family_of_input(source).runs_backbone), None)

    def backbone_facts(self, inside: bool) -> BackboneFacts | None:
        """None for a model without a backbone."""
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
        ConfigError: the backbone is not the one that the model was trained with, or its place is not known.
        DataError: the folder is not a finished run.
        ArtefactError: the checkpoint or the calibration is corrupted.
    """
    if not run.best.is_file():
        raise DataError(f"{run.folder} is not a finished run: it has no {run.best.name}")
    family = read_header(run.best, load_checkpoint(run.best)).model.name
    recogniser = Recogniser.load(run.best, backbone, device="cpu")
    recogniser.inputs = tuple(map(in_fp32, recogniser.inputs))
    return Original(family, recogniser, calibration_of(run.calibration, recogniser.weights), made_with(run, recogniser.corpora))


def in_fp32(source: FeatureInput) -> FeatureInput:
    """A graph computes in fp32, even if the features of the training were computed in bf16."""
    extractor = family_of_input(source).exact(source.extractor)
    return source if extractor is source.extractor else replace(source, extractor=extractor)


def made_with(run: Run, trained_on: Iterable[str]) -> tuple[str, ...]:
    """The corpora whose licences apply to the model: those of train, and those of val, on which epoch, temperature and threshold were
    chosen."""
    path = run.split / CERTIFICATE_FILE
    if not path.is_file():
        raise DataError(f"{path} does not exist: it is needed to list the licences of the corpora")
    speakers = read_certificate(path).splits["val"].speakers
    return tuple(sorted({*trained_on, *(speaker.partition("/")[0] for speaker in speakers)}))
