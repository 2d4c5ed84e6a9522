"""Sessions of onnxruntime, which all models in .onnx files run in: on the processor, on a fixed number of threads, and silent."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ser.errors import DataError
from ser.system.memory import memory_errors
from ser.system.optional import import_optional

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Inputs = Mapping[str, npt.NDArray[np.generic]]

SHOWN = 200
"""Characters of an error in a message."""
PROVIDERS = ["CPUExecutionProvider"]


class Port(Protocol):
    """An input or an output."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> "Sequence[int | str]":
        """Axes: a length, or the name of one that differs from call to call."""


class ModelMeta(Protocol):
    @property
    def custom_metadata_map(self) -> dict[str, str]: ...


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, output_names: Sequence[str] | None, inputs: "Inputs", /) -> "list[npt.NDArray[np.float32]]":
        """All outputs of the models here are in fp32."""

    def get_inputs(self) -> Sequence[Port]: ...

    def get_outputs(self) -> Sequence[Port]: ...

    def get_modelmeta(self) -> ModelMeta: ...


class SessionError(Exception):
    """onnxruntime cannot load a model.

    Attributes:
        version: of onnxruntime.
        detail: its own words, in one line.
    """

    def __init__(self, version: str, detail: str) -> None:
        super().__init__(f"onnxruntime {version}: {detail}")
        self.version, self.detail = version, detail


def open_session(
    model: str | bytes, *, name: str, absent: str, threads: int = 1, optimise: bool = True, entries: Mapping[str, str] | None = None
) -> Session:
    """
    Args:
        model: path, or content of the file.
        name: of the file, for messages.
        absent: said where onnxruntime is not installed; names who needs it, and the extra.
        threads: for one call.
        optimise: let it rewrite the graph before it is run.
        entries: further settings of the session, as onnxruntime names them.

    Raises:
        ConfigError: onnxruntime is not installed.
        DataError: the memory does not suffice.
        SessionError: it cannot load the model.
    """
    onnxruntime = import_optional("onnxruntime", absent)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # what goes wrong is raised, and said once
    if not optimise:
        options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_DISABLE_ALL
    for key, value in (entries or {}).items():
        options.add_session_config_entry(key, value)
    try:
        with memory_errors(f"{name} cannot be loaded"):
            session: Session = onnxruntime.InferenceSession(model, options, providers=PROVIDERS)
    except DataError:
        raise
    except Exception as error:  # onnxruntime has a class of its own for each status, below Exception alone
        raise SessionError(onnxruntime.__version__, " ".join(str(error).split())[:SHOWN]) from None
    return session
