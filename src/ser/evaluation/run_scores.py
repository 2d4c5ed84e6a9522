"""test_metrics.json: the scores of a run on test, with the facts that are necessary to interpret them."""

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated

from pydantic import Field, SerializerFunctionWrapHandler, ValidationError, model_serializer

from ser.errors import ArtefactError
from ser.evaluation.calibration import CalibrationOnTest
from ser.evaluation.gates import GateSummary
from ser.evaluation.perception import Perceived
from ser.evaluation.records import Json, Record, Scores
from ser.system.files import read_json

ABSENT_WHERE_NONE = ("gates", "ssl_layer_weights", "calibration", "perceived")


class SplitRule(Record):
    """The split that a run was trained on."""

    split: str
    """Name of the split."""
    rule: str
    seed: int
    kind: str
    """Kind that the certificate declares."""


class RunScores(Scores):
    best_epoch: int
    epochs: int
    """Number of trained epochs."""
    selection: str
    """How the epoch was chosen."""
    protocol: SplitRule | None = None
    speaker_independent: bool
    certificate: str
    """Digest of the certificate."""
    weights: str
    """Digest of the weights that were measured."""
    seed: int
    ran_on: Mapping[str, str | int | bool] = {}
    """Device, precision, threads."""
    gates: GateSummary | None = None
    """Weights of the experts, for a mixture of experts."""
    ssl_layer_weights: Mapping[str, Annotated[float, Field(ge=0, le=1)]] | None = None
    """{hidden state of the backbone: weight}, if the model learns these weights."""
    calibration: CalibrationOnTest | None = None
    perceived: Perceived | None = None
    """Scores against the votes of listeners, if there are any."""

    @model_serializer(mode="wrap")
    def leave_out_absent(self, serialize: SerializerFunctionWrapHandler) -> Json:
        content = self.part_intervals(serialize)
        return {name: value for name, value in content.items() if name not in ABSENT_WHERE_NONE or value is not None}


def read_run_scores(path: Path) -> RunScores:
    """Read test_metrics.json.

    Raises:
        ArtefactError: the file is corrupted, or is not a file of scores.
    """
    try:
        return RunScores.from_json(read_json(path))
    except ValidationError as error:
        first = error.errors()[0]
        raise ArtefactError(
            f"{path} is not a file of scores of this program ({'.'.join(map(str, first['loc']))}: {first['msg']})"
        ) from None
