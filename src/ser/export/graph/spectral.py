"""`ser.features.spectral` as nodes of a graph: padded waveforms in, normalised features out.

The Fourier transform of n samples is two matrix products (Cooley and Tukey 1965, with two factors near the root of n) and a twiddle factor
between them, in fp32: on a CPU this takes a third of the time of one product with the whole Fourier matrix, and a tenth of that of ONNX's
own operator in onnxruntime. Compared with `SpectralExtractor`, which transforms quiet frames in double precision, fp32 loses some 1e-2 dB
in bands 75 dB below their frame.
"""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import scipy.fft
from numpy.typing import NDArray

from ser.export.graph.base import Feature, Graph, Steps
from ser.export.graph.normaliser import add_normaliser
from ser.features.spectral import POWER_FLOOR, SpectralExtractor, hann

if TYPE_CHECKING:
    from ser.inference.recogniser import FeatureInput

DECIBELS = 10 / math.log(10)
"""Decibels of a power are this times its natural logarithm."""


def add_spectral(
    graph: Graph, source: "FeatureInput", names: Sequence[str], waveforms: str, lengths: str, least: int
) -> dict[str, Feature]:
    """
    Args:
        least: the number of frames that a batch has at least, so that the network's pooling leaves one step.

    Shape:
        waveforms (B, samples), lengths (B,) -> {name: (B, T, dim)}
    """
    assert isinstance(source.extractor, SpectralExtractor)
    config = source.extractor.config
    frames, steps = add_frames(graph, clean(graph, waveforms, lengths), lengths, config.n_fft, config.hop_length, least)
    found = add_features(graph, frames, names, source.extractor)
    return {name: Feature(add_normaliser(graph, found[name], source.store, source.normaliser, name), steps) for name in names}


def add_features(graph: Graph, frames: str, names: Sequence[str], extractor: SpectralExtractor) -> dict[str, str]:
    """
    Shape:
        frames (B, T, ...) of n_fft samples each -> {name: (B, T, dim)}, including intermediate features
    """
    config = extractor.config
    power, bins = add_power(graph, frames, config.n_fft)
    filters = reorder(extractor.filters.toarray(), bins)
    bands = {"mel": filters[:, : config.mel.n_mels], "chroma": filters[:, config.mel.n_mels : -1]}
    found = {}
    if "mel" in names or "mfcc" in names:
        energy = graph.add("MatMul", power, graph.number(bands["mel"]))
        log = graph.add("Log", graph.add("Max", energy, graph.number(POWER_FLOOR)))
        found["mel"] = graph.add("Mul", log, graph.number(DECIBELS))
        cosines = scipy.fft.dct(np.eye(config.mel.n_mels), norm="ortho")[:, : config.mfcc.n_mfcc]
        found["mfcc"] = graph.add("MatMul", found["mel"], graph.number(cosines))
    if "chroma" in names:
        found["chroma"] = add_chroma(graph, graph.add("MatMul", power, graph.number(bands["chroma"])))
    return found


def clean(graph: Graph, waveforms: str, lengths: str) -> str:
    """Replace all samples after the end of each clip by zeros: (B, samples)."""
    return graph.add("Where", graph.before(lengths, graph.size(waveforms, 1)), waveforms, graph.number(0))


def add_frames(graph: Graph, waveforms: str, lengths: str, n_fft: int, hop_length: int, least: int) -> tuple[str, Steps]:
    """Frames centred on every `hop_length`-th sample, with zeros before and after a clip.

    Shape:
        waveforms (B, samples), lengths (B,) -> frames (B, T, blocks, samples of a block), and the number of frames of each clip
    """
    samples, hop, one = graph.size(waveforms, 1), graph.constant(hop_length), graph.constant(1)
    count = graph.add("Max", graph.add("Add", graph.add("Div", samples, hop), one), graph.constant(least))
    # as many zeros after the end as the last frame covers
    reach = graph.add("Add", graph.add("Mul", graph.add("Sub", count, one), hop), graph.constant(n_fft - n_fft // 2))
    behind = graph.unsqueeze(graph.add("Sub", reach, samples), 0)
    padded = graph.add("Pad", waveforms, graph.add("Concat", graph.constant([0, n_fft // 2, 0]), behind, axis=0))
    steps = Steps.from_lengths(graph, count, graph.add("Add", graph.add("Div", lengths, hop), one))
    return add_windows(graph, padded, count, n_fft, hop_length), steps


def add_windows(graph: Graph, padded: str, count: str, n_fft: int, hop_length: int) -> str:
    """The first `count` frames of `n_fft` samples, one every `hop_length` samples.

    Shape:
        (B, samples) -> (B, count, blocks, samples of a block)
    """
    # a frame is a number of whole blocks, and so is the hop
    block = math.gcd(n_fft, hop_length)
    blocks = graph.reshape(padded, [0, -1, block])
    first = graph.add("Mul", graph.unsqueeze(graph.count(count), 1), graph.constant(hop_length // block))
    return graph.add("Gather", blocks, graph.add("Add", first, graph.constant([np.arange(n_fft // block)])), axis=1)


def add_power(graph: Graph, frames: str, n_fft: int) -> tuple[str, NDArray[np.int64]]:
    """Squared magnitude of the transform under a Hann window, and the frequency of each column; some frequencies occur twice.

    With w(x) = exp(-2 pi i x), sample cols a + b and frequency p + rows q: w(sample frequency / n_fft) is w(a p / rows) w(b p / n_fft)
    w(b q / cols), which is a product over a, a twiddle factor, and a product over b. p up to half of `rows` is enough: samples are real, so
    the frequencies k and n_fft - k have the same magnitude.

    Shape:
        frames (B, T, ...) of n_fft samples each -> (B, T, columns), (columns,) from 0 to n_fft // 2
    """
    rows = next(factor for factor in range(math.isqrt(n_fft), 0, -1) if n_fft % factor == 0)
    cols = n_fft // rows
    a, b, p, q = (np.arange(count) for count in (rows, cols, rows // 2 + 1, cols))
    windowed = graph.add("Mul", graph.reshape(frames, [0, 0, rows, cols]), graph.number(hann(n_fft).reshape(rows, cols)))
    first = waves(p, a, rows)
    real, imaginary = (graph.add("MatMul", graph.number(part), windowed) for part in (first.real, first.imag))
    real, imaginary = add_twist(graph, real, imaginary, waves(p, b, n_fft))
    second = waves(b, q, cols)
    parts = [
        graph.add("Add", graph.add("MatMul", real, graph.number(over)), graph.add("MatMul", imaginary, graph.number(under)))
        for over, under in ((second.real, -second.imag), (second.imag, second.real))
    ]
    squares = [graph.add("Mul", part, part) for part in parts]
    frequency = (p[:, None] + rows * q).ravel()
    return graph.reshape(graph.add("Add", *squares), [0, 0, len(frequency)]), np.minimum(frequency, n_fft - frequency)


def waves(a: NDArray[np.int64], b: NDArray[np.int64], period: int) -> NDArray[np.complex128]:
    """exp(-2 pi i a b / period), (len(a), len(b))"""
    turned: NDArray[np.complex128] = np.exp(-2j * np.pi * (np.outer(a, b) % period) / period)
    return turned


def add_twist(graph: Graph, real: str, imaginary: str, by: NDArray[np.complex128]) -> tuple[str, str]:
    """A complex product, element by element."""
    cosine, sine = graph.number(by.real), graph.number(by.imag)

    def times(a: str, b: str) -> str:
        return graph.add("Mul", a, b)

    return (
        graph.add("Sub", times(real, cosine), times(imaginary, sine)),
        graph.add("Add", times(real, sine), times(imaginary, cosine)),
    )


def reorder(filters: NDArray[np.floating], frequency: NDArray[np.int64]) -> NDArray[np.float64]:
    """Filters over the columns of `add_power`; of a frequency that occurs twice the first column is used.

    Shape:
        (filters, n_fft // 2 + 1), (columns,) -> (columns, filters)
    """
    weights = np.zeros((len(frequency), len(filters)))
    weights[np.unique(frequency, return_index=True)[1]] = filters.T
    return weights


def add_chroma(graph: Graph, energy: str) -> str:
    """Like `ser.features.spectral.normalise_chroma`."""
    peak = graph.add("ReduceMax", energy, graph.constant([-1]), keepdims=1)
    silent = graph.add("Less", peak, graph.number(np.finfo(np.float32).tiny))
    return graph.add("Div", energy, graph.add("Where", silent, graph.number(1), peak))
