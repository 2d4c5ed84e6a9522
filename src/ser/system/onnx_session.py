"""onnxruntime sessions for .onnx models: on the CPU, with a fixed number of threads and without log output."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from ser.errors import DataError
from ser.system.memory import memory_errors
from ser.system.optional import import_optional, install_hint

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Inputs = Mapping[str, npt.NDArray[np.generic]]

SHOWN = 200
"""Maximum number of characters of an onnxruntime error in a message."""
PROVIDERS = ["CPUExecutionProvider"]


class Port(Protocol):
    """An input or an output of a model."""

    @property
    def name(self) -> str: ...

    @property
    def shape(self) -> "Sequence[int | str]":
        """Length of each axis, or its name if the length may differ between calls."""


class ModelMeta(Protocol):
    @property
    def custom_metadata_map(self) -> dict[str, str]: ...


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that is used here."""

    def run(self, output_names: Sequence[str] | None, inputs: "Inputs", /) -> "list[npt.NDArray[np.float32]]":
        """Return the outputs; those of the models here are all float32."""

    def get_inputs(self) -> Sequence[Port]: ...

    def get_outputs(self) -> Sequence[Port]: ...

    def get_modelmeta(self) -> ModelMeta: ...


class SessionError(Exception):
    """onnxruntime cannot load a model.

    Attributes:
        version: version of onnxruntime.
        detail: message of onnxruntime, in one line.
    """

    def __init__(self, version: str, detail: str) -> None:
        super().__init__(f"onnxruntime {version}: {detail}")
        self.version, self.detail = version, detail


def open_session(
    model: str | bytes, *, name: str, threads: int = 1, optimise: bool = True, entries: Mapping[str, str] | None = None
) -> Session:
    """Load a model.

    Args:
        model: path or content of the file.
        name: name of the file, for messages.
        threads: number of threads of one call.
        optimise: whether onnxruntime may optimise the graph.
        entries: further session options under onnxruntime's names.

    Raises:
        ConfigError: onnxruntime is not installed.
        DataError: out of memory.
        SessionError: onnxruntime cannot load the model.
    """
    onnxruntime = import_optional("onnxruntime", f"{name} needs onnxruntime: {install_hint()}")
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 4  # errors are raised, so they are not logged as well
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
