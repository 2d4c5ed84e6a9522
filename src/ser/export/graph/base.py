"""Build an ONNX graph from nodes, constants and weights with generated names."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import count
from typing import TYPE_CHECKING, Any, Self, TypeAlias

import numpy as np
from numpy.typing import ArrayLike, NDArray

from ser import __version__
from ser.errors import ConfigError

if TYPE_CHECKING:
    from onnx import GraphProto, ModelProto, NodeProto, TensorProto, ValueInfoProto

OPSET = 20
"""The first opset with an exact GELU, which onnxruntime supports since 1.17."""
IR_VERSION = 9
"""The version of the file format that belongs to `OPSET`."""
INT8_LIMIT = 127
SINGLE = 1
"""Number of the type fp32 in ONNX."""
INT32 = 6
"""Number of the type int32."""
HALF = 10
"""Number of the type fp16."""

Module: TypeAlias = Any
"""A module of transformers or torch: one of several classes whose parts have the same names, so no type describes it."""
Attribute: TypeAlias = "int | float | str | Sequence[int] | Body"
"""The value of an operator's attribute; a `Body` is one iteration of a `Loop`."""


class NotExportable(ConfigError):
    """A part of a network for which no nodes are implemented."""


@dataclass(frozen=True)
class Node:
    """One operator."""

    kind: str
    inputs: Sequence[str]
    output: str
    attributes: Mapping[str, Attribute]


@dataclass(frozen=True)
class Port:
    """An input or output of a graph."""

    name: str
    dtype: type[np.generic]
    shape: Sequence[str | int] | None
    """Sizes, and names of sizes that vary from call to call; None if the number of axes is not known."""


@dataclass(frozen=True)
class Body:
    """A graph inside a graph, which may use every value that precedes it in the outer one."""

    nodes: Sequence[Node]
    inputs: Sequence[Port]
    outputs: Sequence[Port]


class Graph:
    """A builder of an ONNX graph. Values are referred to by their names.

    Args:
        int8: whether weights are stored in 8 bits; they are converted to fp32 when the file is loaded.
    """

    def __init__(self, int8: bool = False) -> None:
        self.int8 = int8
        self.nodes: list[Node] = []
        self.constants: dict[str, NDArray[np.generic]] = {}
        self.numbers: Iterator[int] = count()
        self.outermost: Graph = self

    @property
    def bytes(self) -> int:
        """Total size of all constants, which make up almost the whole file."""
        return sum(constant.nbytes for constant in self.constants.values())

    def inside(self) -> Self:
        """An empty graph for the body of a loop: its constants are in the outermost graph, and all names are unique."""
        inner = type(self)(self.int8)
        inner.constants, inner.numbers, inner.outermost = self.constants, self.numbers, self.outermost
        return inner

    def add(self, kind: str, *inputs: str, output: str | None = None, **attributes: Attribute) -> str:
        """Add an operator with one output and return its name: `output`, for an output of the whole graph, or a new name."""
        output = output or self.name(kind)
        self.nodes.append(Node(kind, inputs, output, attributes))
        return output

    def name(self, kind: str) -> str:
        return f"{kind.lower()}_{next(self.numbers)}"

    def each(self, end: str, turn: Callable[["Graph", str], str]) -> str:
        """Add a loop of the nodes that `turn(graph, number)` adds for 0, 1, ... end - 1.

        Shape:
            each iteration (...), all of one shape -> (end, ...)
        """
        inner, number, again = self.inside(), self.name("number"), self.name("again")
        value, still = turn(inner, number), inner.add("Identity", again)
        inputs = [Port(number, np.int64, ()), Port(again, np.bool_, ())]
        outputs = [Port(still, np.bool_, ()), Port(value, np.float32, None)]
        return self.add("Loop", end, "", body=Body(inner.nodes, inputs, outputs))

    def constant(self, value: ArrayLike, dtype: type[np.generic] = np.int64) -> str:
        name = f"constant_{len(self.constants)}"
        self.constants[name] = np.asarray(value, dtype)
        return name

    def number(self, value: ArrayLike) -> str:
        """A constant in fp32."""
        return self.constant(value, np.float32)

    def weight(self, value: NDArray[np.float32], axis: int) -> str:
        """Add weights: fp32, or 8 bits with a scale for each slice along `axis`, whose largest value becomes 127."""
        if not self.int8:
            return self.number(value)
        others = tuple(other for other in range(value.ndim) if other != axis)
        scale = np.maximum(np.abs(value).max(axis=others, keepdims=True), np.finfo(np.float32).tiny * INT8_LIMIT) / INT8_LIMIT
        rounded = self.constant(np.rint(value / scale), np.int8)
        return self.outermost.add(
            "DequantizeLinear", rounded, self.number(scale.ravel()), axis=axis
        )  # once, not in every iteration of a loop

    def size(self, value: str, axis: int) -> str:
        """The size of a value along an axis, a number."""
        return self.add("Gather", self.add("Shape", value), self.constant(axis))

    def no_longer(self, lengths: str, batch: str) -> str:
        """Lengths limited to the size of their batch: lengths (B,), batch (B, T, ...) -> (B,)."""
        return self.add("Min", lengths, self.size(batch, 1))

    def reshape(self, value: str, shape: Sequence[int]) -> str:
        """Add a reshape; 0 keeps a size, -1 is the remaining size."""
        return self.add("Reshape", value, self.constant(shape))

    def unsqueeze(self, value: str, *axes: int) -> str:
        return self.add("Unsqueeze", value, self.constant(axes))

    def squeeze(self, value: str, axis: int) -> str:
        return self.add("Squeeze", value, self.constant([axis]))

    def slice(self, value: str, start: str, end: str, axis: int) -> str:
        """The slice from index `start` to before index `end`, or to the end of the value."""
        return self.add("Slice", value, self.unsqueeze(start, 0), self.unsqueeze(end, 0), self.constant([axis]))

    def fill(self, value: str, missing: str, axis: int, axes: int) -> str:
        """Append `missing` zeros, a number in the graph, at the end of `axis`, one of a value's `axes`."""
        none = self.constant([0])
        pads = [self.unsqueeze(missing, 0) if place == axes + axis else none for place in range(2 * axes)]
        return self.add("Pad", value, self.add("Concat", *pads, axis=0))

    def count(self, end: str) -> str:
        """0, 1, ... end - 1"""
        return self.add("Range", self.constant(0), end, self.constant(1))

    def before(self, lengths: str, end: str) -> str:
        """True for valid frames, like `ser.models.pooling.frame_mask`.

        Shape:
            lengths (B,), end a number -> (B, end)
        """
        return self.add("Less", self.count(end), self.unsqueeze(lengths, 1))

    def build(self, name: str, inputs: Sequence[Port], outputs: Sequence[Port], metadata: Mapping[str, str]) -> "ModelProto":
        """The finished model."""
        from onnx import helper, numpy_helper

        constants = [numpy_helper.from_array(value, key) for key, value in self.constants.items()]
        graph = graph_proto(name, Body(self.nodes, inputs, outputs), constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)], ir_version=IR_VERSION, producer_name="ser")
        model.producer_version = __version__
        helper.set_model_props(model, dict(metadata))
        return model


def graph_proto(name: str, body: Body, constants: Sequence["TensorProto"] = ()) -> "GraphProto":
    """The nodes as objects of onnx."""
    from onnx import helper

    inputs, outputs = ([value_info(port) for port in ports] for ports in (body.inputs, body.outputs))
    return helper.make_graph([node_proto(node) for node in body.nodes], name, inputs, outputs, constants)


def node_proto(node: Node) -> "NodeProto":
    from onnx import helper

    attributes: dict[str, Any] = {
        key: graph_proto(node.output, value) if isinstance(value, Body) else value for key, value in node.attributes.items()
    }
    return helper.make_node(node.kind, node.inputs, [node.output], **attributes)


def value_info(port: Port) -> "ValueInfoProto":
    """A port as an object of onnx."""
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
    """(B, T) true for valid frames."""

    @classmethod
    def from_lengths(cls, graph: Graph, count: str, lengths: str) -> "Steps":
        return cls(count, lengths, graph.before(lengths, count))

    def pooled(self, graph: Graph, by: int) -> "Steps":
        factor = graph.constant(by)
        lengths = graph.add("Max", graph.add("Div", self.lengths, factor), graph.constant(1))
        return Steps.from_lengths(graph, graph.add("Div", self.count, factor), lengths)

    def mask(self, graph: Graph, *axes: int) -> str:
        """1 for valid frames and 0 for padding, with further axes of size 1."""
        return graph.unsqueeze(graph.add("Cast", self.real, to=SINGLE), *axes)


@dataclass(frozen=True)
class Feature:
    """A padded batch of one feature, normalised."""

    frames: str
    """(B, T, dim)"""
    steps: Steps


@dataclass(frozen=True)
class NetworkNodes:
    """The outputs of a network's nodes, like `ser.models.base.ModelOutput`."""

    logits: str
    """(B, C)"""
    embedding: str
    """(B, D)"""
    attention: Mapping[str, str]
    """{name: (B, T')}"""
    gates: str | None = None
    """(B, E)"""
