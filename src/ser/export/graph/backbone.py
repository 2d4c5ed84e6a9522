"""`ser.features.backbone` as nodes of a graph: every clip of a batch alone, cut to its own length, as in training.

Group norm, convolutions and the log-mel's floor would be affected by the padding of a batch, so a loop processes the clips one after the
other. On a CPU this costs nothing, because a batch saves no time there.
"""

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

from ser.export.graph.base import SINGLE, Feature, Graph, Steps
from ser.export.graph.normaliser import add_normaliser
from ser.export.graph.spectral import clean
from ser.export.graph.wav2vec import add_wav2vec
from ser.export.graph.whisper import add_whisper
from ser.families import SSL
from ser.features.backbone import BackboneExtractor, WaveformNetwork, WhisperNetwork
from ser.features.backbone_files import Backbone

if TYPE_CHECKING:
    from ser.inference.recogniser import FeatureInput


def add_backbone(
    graph: Graph, source: "FeatureInput", names: Sequence[str], waveforms: str, lengths: str, _least: int
) -> dict[str, Feature]:
    """
    Shape:
        waveforms (B, samples), lengths (B,) -> {the one name: (B, T, states x dim)}

    Raises:
        NotExportable: a part of the backbone has no nodes.
    """
    extractor = source.extractor
    assert isinstance(extractor, BackboneExtractor)
    backbone, pool = extractor.backbone, extractor.config.time_pool
    rows = graph.fill(clean(graph, waveforms, lengths), graph.constant(backbone.min_samples), 1, axes=2)
    used = whole_frames(graph, lengths, backbone)
    steps = steps_of(graph, used, backbone, pool)

    def turn(inner: Graph, number: str) -> str:
        length = inner.add("Gather", used, number)
        clip = inner.slice(inner.add("Gather", rows, number), inner.constant(0), length, axis=0)
        frames = add_pooled(inner, add_stretches(inner, extractor, clip, length), pool)
        return inner.fill(frames, inner.add("Sub", steps.count, inner.size(frames, 0)), 0, axes=2)

    (name,), frames = names, graph.each(graph.size(waveforms, 0), turn)
    return {name: Feature(add_normaliser(graph, frames, source.store, source.normaliser, name), steps)}


def add_frames(graph: Graph, source: "FeatureInput", frames: str, lengths: str) -> dict[str, Feature]:
    """Add the input that replaces a backbone: its frames, with any values after the end of a clip.

    Shape:
        frames (B, T, states x dim), lengths (B,)
    """
    steps = Steps.from_lengths(graph, graph.size(frames, 1), lengths)
    known = graph.add("Where", graph.unsqueeze(steps.real, 2), frames, graph.number(0))
    return {SSL: Feature(add_normaliser(graph, known, source.store, source.normaliser, SSL), steps)}


def whole_frames(graph: Graph, lengths: str, backbone: Backbone) -> str:
    """The number of samples of each clip, (B,), that make whole frames, at least one."""
    least, frame = graph.constant(backbone.min_samples), graph.constant(backbone.frame_samples)
    longer = graph.add("Max", graph.add("Sub", lengths, least), graph.constant(0))
    return graph.add("Add", graph.add("Mul", graph.add("Div", longer, frame), frame), least)


def steps_of(graph: Graph, used: str, backbone: Backbone, pool: int) -> Steps:
    """The number of frames after `add_pooled` of clips with `used` samples, (B,)."""
    further = graph.add("Div", graph.add("Sub", used, graph.constant(backbone.min_samples)), graph.constant(backbone.frame_samples))
    lengths = rounded_up(graph, graph.add("Add", further, graph.constant(1)), pool)
    return Steps.from_lengths(graph, graph.add("ReduceMax", lengths, keepdims=0), lengths)


def rounded_up(graph: Graph, value: str, by: int) -> str:
    """Divided."""
    return graph.add("Div", graph.add("Add", value, graph.constant(by - 1)), graph.constant(by))


def add_stretches(graph: Graph, extractor: BackboneExtractor, clip: str, length: str) -> str:
    """The frames of a clip; a clip longer than the backbone's limit is processed in stretches, and their frames are concatenated.

    Shape:
        (samples,), samples -> (frames, states x dim)
    """
    add_network, backbone = network_of(extractor), extractor.backbone
    if backbone.max_samples is None:
        return add_network(graph, clip)
    most = graph.constant(backbone.max_samples)
    longest = graph.add("Div", graph.add("Min", length, most), graph.constant(backbone.frame_samples))

    def turn(inner: Graph, number: str) -> str:
        start = inner.add("Mul", number, most)
        frames = add_network(inner, inner.slice(clip, start, inner.add("Add", start, most), axis=0))
        return inner.fill(frames, inner.add("Sub", longest, inner.size(frames, 0)), 0, axes=2)

    columns = extractor.dims[SSL]
    together = graph.reshape(graph.each(rounded_up(graph, length, backbone.max_samples), turn), [-1, columns])
    return graph.slice(together, graph.constant(0), graph.add("Div", length, graph.constant(backbone.frame_samples)), axis=0)


def network_of(extractor: BackboneExtractor) -> Callable[[Graph, str], str]:
    """(graph, samples (samples,)) -> (frames, states x dim)"""
    network, states = extractor.network, extractor.states
    if isinstance(network, WhisperNetwork):
        return lambda graph, clip: add_whisper(graph, network, states, clip)
    assert isinstance(network, WaveformNetwork)
    return lambda graph, clip: add_wav2vec(graph, network, states, clip)


def add_pooled(graph: Graph, frames: str, group: int) -> str:
    """As `ser.features.backbone.mean_of_neighbours`: (frames, columns) -> (frames / group, rounded up, columns)."""
    if group == 1:
        return frames
    count, size = graph.size(frames, 0), graph.constant(group)
    groups = rounded_up(graph, count, group)
    filled = graph.fill(frames, graph.add("Sub", graph.add("Mul", groups, size), count), 0, axes=2)
    width = graph.unsqueeze(graph.size(frames, 1), 0)
    shape = graph.add("Concat", graph.constant([-1, group]), width, axis=0)
    total = graph.add("ReduceSum", graph.add("Reshape", filled, shape), graph.constant([1]), keepdims=0)
    left = graph.add("Sub", count, graph.add("Mul", graph.count(groups), size))
    members = graph.add("Cast", graph.add("Min", left, size), to=SINGLE)
    return graph.add("Div", total, graph.unsqueeze(members, 1))
