"""Nodes, constants and weights of an ONNX graph, named as they come."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from ser import __version__

if TYPE_CHECKING:
    from onnx import ModelProto

OPSET = 20
"""The first with an exact GELU, which onnxruntime knows since 1.17."""
IR_VERSION = 9
"""That of `OPSET`."""
INT8_LIMIT = 127
SINGLE, INT32, HALF = 1, 6, 10
"""ONNX's numbers of types."""


@dataclass(frozen=True)
class Node:
    """One operator."""

    kind: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, Any]


@dataclass(frozen=True)
class Port:
    """An input or output of the whole graph."""

    name: str
    dtype: type[np.generic]
    shape: Sequence[str | int]
    """Sizes, and names of sizes that differ from call to call."""


class Graph:
    """An ONNX graph as it grows. Values are known by their names.

    Args:
        int8: weights are kept in 8 bits; they are turned into fp32 when the file is loaded, and computed with as such.
    """

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray[Any]] = {}

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Any) -> str:
        """An operator with one output, whose name is returned: `output`, where the whole graph gives it out, or one that is new."""
        output = output or f"{kind.lower()}_{len(self.nodes)}"
        self.nodes.append(Node(kind, inputs, output, attributes))
        return output

    def constant(self, value: Any, dtype: type[np.generic] = np.int64) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def number(self, value: Any) -> str:
        """A constant in fp32."""
        return self.constant(value, np.float32)

    def weight(self, value: NDArray[np.float32], axis: int) -> str:
        """What was learned: fp32, or 8 bits with a scale for each slice along `axis`, the largest of which is 127."""
        if not self.int8:
            return self.number(value)
        others = tuple(other for other in range(value.ndim) if other != axis)
        scale = np.maximum(np.abs(value).max(axis=others, keepdims=True), np.finfo(np.float32).tiny * INT8_LIMIT) / INT8_LIMIT
        rounded = self.constant(np.rint(value / scale), np.int8)
        return self.add("DequantizeLinear", rounded, self.number(scale.ravel()), axis=axis)

    def size(self, value: str, axis: int) -> str:
        """How long a value is along an axis: a number."""
        return self.add("Gather", self.add("Shape", value), self.constant(axis))

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """0 keeps a size, -1 takes what is left."""
        return self.add("Reshape", value, self.constant(shape))

    def unsqueeze(self, value: str, axis: int) -> str:
        return self.add("Unsqueeze", value, self.constant([axis]))

    def count(self, end: str) -> str:
        """0, 1, ... end - 1"""
        return self.add("Range", self.constant(0), end, self.constant(1))

    def before(self, lengths: str, end: str) -> str:
        """True on what is real, as `ser.models.pooling.frame_mask` tells.

        Shape:
            lengths (B,), end a number -> (B, end)
        """
        return self.add("Less", self.count(end), self.unsqueeze(lengths, 1))

    def build(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port], metadata: Mapping[str, str]) -> "ModelProto":
        """The whole as a model."""
        from onnx import helper, numpy_helper

        graph = helper.make_graph(
            [helper.make_node(node.kind, node.inputs, [node.output], **node.attributes) for node in self.nodes],
            name,
            [self.describe(port) for port in inputs],
            [self.describe(port) for port in outputs],
            [numpy_helper.from_array(value, key) for key, value in self.constants.items()],
        )
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="ser")
        model.producer_version = __version__
        helper.set_model_props(model, dict(metadata))
        return model

    @staticmethod
    def describe(port: Port) -> Any:
        from onnx import helper

        return helper.make_tensor_value_info(port.name, helper.np_dtype_to_tensor_dtype(np.dtype(port.dtype)), port.shape)


@dataclass(frozen=True)
class Steps:
    """The time axis of a padded batch, at one resolution."""

    count: str
    """T, a number."""
    lengths: str
    """(B,)"""
    real: str
    """(B, T) true where a clip has not ended."""

    @classmethod
    def of(cls, graph: Graph, count: str, lengths: str) -> "Steps":
        return cls(count, lengths, graph.before(lengths, count))

    def pooled(self, graph: Graph, by: int) -> "Steps":
        factor = graph.constant(by)
        lengths = graph.add("Max", graph.add("Div", self.lengths, factor), graph.constant(1))
        return Steps.of(graph, graph.add("Div", self.count, factor), lengths)

    def mask(self, graph: Graph, *axes: int) -> str:
        """1 on what is real, else 0, with further axes of size 1."""
        return graph.add("Unsqueeze", graph.add("Cast", self.real, to=SINGLE), graph.constant(axes))
