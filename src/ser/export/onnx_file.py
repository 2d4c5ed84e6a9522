"""Export the model of a run as one .onnx file from prepared waveforms to probabilities, compared with the original before it is written."""

from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ser import __version__
from ser.corpora.licences import model_licence
from ser.errors import ArtefactError, ConfigError
from ser.export.graph.backbone import add_frames
from ser.export.graph.base import Feature, Graph, NetworkNodes, NotExportable, Port
from ser.export.graph.networks import NETWORKS, add_input
from ser.export.original import Original, read_original
from ser.export.parity import by_torch, largest_difference, trial_waveforms
from ser.inference.exported import ATTENTION, FRAMES, GATES, INPUTS, OUTPUTS, Exported
from ser.inference.exported_facts import FORMAT, BackboneFacts, ExportedFacts
from ser.inference.seal import seal
from ser.runs.run import Run
from ser.system.files import atomic_write
from ser.system.optional import require

if TYPE_CHECKING:
    from onnx import ModelProto

TOLERANCE = 1e-4
"""The largest difference allowed between the probabilities of torch and those of the file, in fp32."""
TOLERANCE_INT8 = 0.1
"""The same with quantised weights. It only detects a broken file; the loss of accuracy is measured in scores."""
WAY_OUT = "--head-only writes the model without it"
MOST_BYTES = 2**31 - 2**24
"""The highest number of bytes of weights: protobuf files are limited to 2 GiB, and the rest of the file is small."""


def export_run(run: Run, out: Path, *, int8: bool = False, backbone: str | None = None, head_only: bool = False) -> Exported:
    """Write the model of a finished run to `out`, atomically, and load it from there.

    Args:
        int8: weights in 8 bits, a quarter of their size.
        backbone: folder or hub model, for a run with one that has moved.
        head_only: leave the backbone out; the file takes its frames as an input.

    Raises:
        ConfigError: the extra `export` is not installed; the backbone is missing, cannot be written as a graph or is too large; or
            `head_only` is set for a model without a backbone.
        DataError: the folder is not a finished run.
        ArtefactError: the checkpoint or the calibration is corrupted, or the outputs of onnxruntime differ from those of torch.
    """
    refuse_without_libraries()
    original = read_original(run, backbone)
    if head_only and original.backbone is None:
        raise ConfigError(f"{run.folder} holds a {original.family} without a backbone: leave --head-only out")
    content = seal(build(original, int8, head_only).SerializeToString())
    exported = Exported.parse(out, content)
    tolerance = TOLERANCE_INT8 if int8 else TOLERANCE
    difference = largest_difference(exported, original)
    if not difference <= tolerance:  # also if it is not a number
        raise ArtefactError(f"{out} was not written: a probability differs from the model's by {difference:.1e}, more than {tolerance:g}")
    with atomic_write(out) as file:
        file.write(content)
    return exported


def refuse_without_libraries() -> None:
    require("an export", ["onnx"], "export")


def build(original: Original, int8: bool, head_only: bool = False) -> "ModelProto":
    """The graph from waveforms to calibrated probabilities, with its metadata, checked by onnx. Raises the errors of `export_run`."""
    from onnx import checker

    graph = Graph(int8)
    nodes = add_model(graph, original, head_only)
    cooled = graph.add("Div", nodes.logits, graph.number(original.calibration.temperature or 1))
    probabilities = graph.add("Softmax", cooled, axis=-1)
    refuse_too_large(graph, head_only)
    outputs = outputs_of(original, nodes)
    values = [probabilities, nodes.embedding, *nodes.attention.values(), *([nodes.gates] if nodes.gates else [])]
    for port, value in zip(outputs, values, strict=True):
        graph.add("Identity", value, output=port.name)
    metadata = facts_of(original, int8, head_only).metadata()
    built = graph.build(original.family, inputs_of(original, head_only), outputs, metadata)
    checker.check_model(built, full_check=True)
    return built


def add_model(graph: Graph, original: Original, head_only: bool) -> NetworkNodes:
    """Add the features and the network. Raises the errors of `export_run`."""
    features: dict[str, Feature] = {}
    names, least = original.recogniser.features, getattr(original.network, "time_pool", 1)
    for source in original.recogniser.inputs:
        wanted = [name for name in names if name in source.store.features]
        if not wanted:
            continue
        if head_only and source is original.backbone:
            features |= add_frames(graph, source, FRAMES[0], graph.no_longer(FRAMES[1], FRAMES[0]))
            continue
        try:
            features |= add_input(graph, source, wanted, INPUTS[0], graph.no_longer(INPUTS[1], INPUTS[0]), least)
        except NotExportable as error:
            if source is not original.backbone:
                raise
            raise ConfigError(f"the backbone cannot be written as a graph: {error}; {WAY_OUT}") from None
        except AttributeError as error:  # the parts of a backbone are found by their names in transformers
            if source is not original.backbone:
                raise
            known = f"ser {__version__} cannot read its parts as transformers {version('transformers')} names them ({error})"
            raise ConfigError(f"the backbone cannot be written as a graph: {known}; {WAY_OUT}") from error
    return NETWORKS[original.family](graph, original.network, {name: features[name] for name in names})


def refuse_too_large(graph: Graph, head_only: bool) -> None:
    """
    Raises:
        ConfigError: the weights are too large for a file.
    """
    if graph.bytes > MOST_BYTES:
        smaller = "" if graph.int8 else "--int8 makes it a quarter, "
        advice = "" if head_only else f": {smaller}--head-only leaves the backbone out"
        raise ConfigError(f"the model has {graph.bytes / 1e9:.1f} GB of weights, and an .onnx file holds at most 2{advice}")


def inputs_of(original: Original, head_only: bool) -> list[Port]:
    """The inputs of the graph: waveforms if a part of it uses them, and the frames of a backbone that is left out."""
    ports = []
    if not head_only or len(original.recogniser.features) > 1:
        ports = [Port(INPUTS[0], np.float32, ("clips", "samples")), Port(INPUTS[1], np.int64, ("clips",))]
    if head_only and original.backbone:
        columns = original.backbone.store.columns
        ports += [Port(FRAMES[0], np.float32, ("clips", "frames", columns)), Port(FRAMES[1], np.int64, ("clips",))]
    return ports


def outputs_of(original: Original, nodes: NetworkNodes) -> list[Port]:
    linear: list[Any] = [layer for layer in original.network.classifier if hasattr(layer, "in_features")]
    shapes: dict[str, str | int] = {OUTPUTS[0]: linear[-1].out_features, OUTPUTS[1]: linear[0].in_features}
    shapes |= {ATTENTION + name: f"steps_{name}" for name in nodes.attention}
    if nodes.gates:
        shapes[GATES] = len(original.recogniser.features)
    return [Port(name, np.float32, ("clips", size)) for name, size in shapes.items()]


def facts_of(original: Original, int8: bool, head_only: bool = False) -> ExportedFacts:
    recogniser, backbone = original.recogniser, original.backbone_facts(inside=not head_only)
    (output,) = by_torch(original, trial_waveforms(recogniser.audio.sampling_rate)[:1])
    return ExportedFacts(
        format=FORMAT,
        classes=recogniser.classes,
        sample_rate=recogniser.audio.sampling_rate,
        audio=recogniser.audio,
        family=original.family,
        features=recogniser.features,
        precision="int8" if int8 else "fp32",
        calibration=original.calibration,
        attention_rate=dict(output.attention_rate),
        corpora=recogniser.corpora,
        licence=model_licence(original.made_with) + licence_of(backbone),
        certificate=recogniser.certificate,
        weights=recogniser.weights,
        version=__version__,
        backbone=backbone,
    )


def licence_of(backbone: BackboneFacts | None) -> str:
    """The licence of the backbone in the file, as one more sentence, if it is known."""
    if backbone is None or backbone["where"] != "inside" or backbone["licence"] is None:
        return ""
    return f" The backbone in the file has the licence {backbone['licence']}."
