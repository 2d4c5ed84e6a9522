"""The network sees the real frames and nothing else, whatever stands beside an utterance."""

from collections.abc import Sequence
from itertools import combinations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import functional

from ser.config import ModelConfig, SpectralCrnnConfig
from ser.config_file import load_config
from ser.features.base import FeatureShape
from ser.models.base import ModelOutput
from ser.models.pooling import frame_mask
from ser.models.registry import build_model
from ser.models.spectral_crnn import ConvBlock, SpectralCrnn, stack_branches
from toys import DIMS, FRAME_RATE, TINY, crnn_config, tiny_model

SUBSETS = [names for size in (1, 2, 3) for names in combinations(DIMS, size)]
CONFIGS = {
    "default pools": TINY,
    "two layers": TINY.model_copy(update={"gru_layers": 2}),
    "uneven pools": TINY.model_copy(update={"pools": ((1, 3), (8, 2))}),
    "time kept": TINY.model_copy(update={"pools": ((2, 1), (2, 1))}),
}
Clips = list[dict[str, Tensor]]


def shapes(**rows: int) -> dict[str, FeatureShape]:
    return {name: FeatureShape(count, FRAME_RATE) for name, count in rows.items()}


def make_clips(lengths: Sequence[int], seed: int = 0) -> Clips:
    """Each {name: (rows, frames)}."""
    generator = torch.Generator().manual_seed(seed)
    return [{name: torch.randn(dim, length, generator=generator) for name, dim in DIMS.items()} for length in lengths]


def run(model: SpectralCrnn, clips: Clips, extra: int = 0, garbage: float = 0.0) -> ModelOutput:
    """One batch, padded to the longest and `extra` frames beyond; what stands in the padding is `garbage` times noise."""
    lengths = torch.tensor([clip["mel"].shape[1] for clip in clips])
    frames = int(lengths.max()) + extra
    features = {name: garbage * torch.randn(len(clips), dim, frames) for name, dim in DIMS.items()}
    for index, clip in enumerate(clips):
        for name, rows in clip.items():
            features[name][index, :, : rows.shape[1]] = rows
    output = model(features, dict.fromkeys(features, lengths))
    assert isinstance(output, ModelOutput)
    return output


def assert_same(output: ModelOutput, index: int, alone: ModelOutput) -> None:
    """Utterance `index` of a batch, against the same one alone."""
    for ours, theirs in ((output.logits[index], alone.logits[0]), (output.embedding[index], alone.embedding[0])):
        torch.testing.assert_close(ours, theirs, atol=1e-5, rtol=0)
    weights, expected = output.attention["spectral"][index], alone.attention["spectral"][0]
    torch.testing.assert_close(weights[: len(expected)], expected[: len(weights)], atol=1e-5, rtol=0)
    assert not weights[len(expected) :].any()


@given(
    lengths=st.lists(st.integers(1, 40), min_size=2, max_size=5),
    features=st.sampled_from(SUBSETS),
    config=st.sampled_from(list(CONFIGS)),
    extra=st.integers(0, 9),
    garbage=st.sampled_from([0.0, 1.0, 1e3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=40, deadline=None)
def test_an_utterance_gets_the_same_result_alone_padded_and_in_any_batch(
    lengths: list[int], features: tuple[str, ...], config: str, extra: int, garbage: float, seed: int
) -> None:
    model = tiny_model(3, features, CONFIGS[config], seed).eval()
    clips = make_clips(lengths, seed)
    with torch.inference_mode():
        batch = run(model, clips, extra, garbage)
        for index, clip in enumerate(clips):
            alone = run(model, [clip])
            assert_same(batch, index, alone)
            assert_same(run(model, [clip], extra, garbage), 0, alone)


def test_the_shipped_network_gives_the_same_result_in_any_batch() -> None:
    """Also one frame, as short as a clip gets, and as long as `audio.duration` makes one."""
    torch.manual_seed(0)
    dims = {"mel": 128, "mfcc": 40, "chroma": 12}
    model = build_model(ModelConfig(), shapes(**dims), 8).eval()
    lengths = torch.tensor([1, 7, 141, 313])
    features = {name: torch.randn(4, dim, 313) for name, dim in dims.items()}
    with torch.inference_mode():
        together = model(features, dict.fromkeys(dims, lengths)).logits
        for index, length in enumerate(lengths.tolist()):
            alone = {name: x[index : index + 1, :, :length] for name, x in features.items()}
            logits = model(alone, dict.fromkeys(dims, lengths[index : index + 1])).logits
            torch.testing.assert_close(together[index : index + 1], logits, atol=1e-5, rtol=0)


@given(lengths=st.lists(st.integers(1, 40), min_size=1, max_size=5), config=st.sampled_from(list(CONFIGS)))
@settings(max_examples=20, deadline=None)
def test_attention_sums_to_one_over_real_steps_and_is_zero_on_padding(lengths: list[int], config: str) -> None:
    model = tiny_model(3, config=CONFIGS[config], seed=1).eval()
    weights = run(model, make_clips(lengths), extra=6).attention["spectral"]
    for row, length in zip(weights, lengths, strict=True):
        steps = max(length // model.time_pool, 1)
        assert row[:steps].sum().item() == pytest.approx(1, abs=1e-5)
        assert not row[steps:].any()


@pytest.mark.parametrize(("pools", "rate"), [(((2, 2), (4, 2)), 15.625), (((1, 1), (2, 1)), 62.5), (((2, 5), (2, 1)), 12.5)])
def test_attention_tells_its_rate_in_hertz(pools: tuple[tuple[int, int], tuple[int, int]], rate: float) -> None:
    model = tiny_model(config=TINY.model_copy(update={"pools": pools}))
    output = run(model, make_clips([60]))
    assert output.attention_rate == {"spectral": rate}
    assert output.attention["spectral"].shape[1] / (60 / 62.5) == pytest.approx(rate)


@pytest.mark.parametrize("features", SUBSETS)
@pytest.mark.parametrize("num_classes", [2, 8])
def test_shapes_of_the_output(features: tuple[str, ...], num_classes: int) -> None:
    output = run(tiny_model(num_classes, features), make_clips([9, 16, 4]))
    assert output.logits.shape == (3, num_classes)
    assert output.logits.dtype == torch.float32
    assert output.embedding.shape == (3, 2 * TINY.gru_dim)
    assert {name: tuple(weights.shape) for name, weights in output.attention.items()} == {"spectral": (3, 4)}
    assert output.gate is None
    assert output.aux_logits is None


def test_no_gradient_comes_from_padding() -> None:
    model = tiny_model(seed=0).eval()
    lengths = torch.tensor([5, 12])
    torch.manual_seed(0)  # of the tiny network some inputs leave every unit behind a ReLU at 0
    features = {name: torch.randn(2, dim, 14, requires_grad=True) for name, dim in DIMS.items()}
    model(features, dict.fromkeys(DIMS, lengths)).logits.sum().backward()
    padding = ~frame_mask(lengths, 14)
    for x in features.values():
        assert x.grad is not None
        gradient = x.grad.transpose(1, 2)
        assert not gradient[padding].any()
        assert gradient[0, :4].any()
        assert gradient[1, :12].any()


@pytest.mark.parametrize("pool", [(1, 1), (2, 2), (4, 3)])
def test_pooling_before_the_relu_equals_pooling_after_it(pool: tuple[int, int]) -> None:
    torch.manual_seed(0)
    block = ConvBlock(1, 3, pool).eval()
    x, lengths = torch.randn(2, 1, 12, 8), torch.tensor([12, 12])
    expected = functional.max_pool2d(block.norm(block.conv(x)).relu(), pool[::-1])
    assert torch.equal(block(x, lengths)[0], expected)


def test_the_memory_format_changes_nothing() -> None:
    model, clips = tiny_model(seed=3).eval(), make_clips([11, 24])
    contiguous = run(model, clips).logits
    last = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    torch.testing.assert_close(run(last, clips).logits, contiguous, atol=1e-5, rtol=0)


def test_bfloat16_is_near_single_precision() -> None:
    torch.manual_seed(0)
    model, clips = tiny_model().eval(), make_clips([7, 30, 1])
    exact = run(model, clips)
    with torch.autocast("cpu", torch.bfloat16):
        output = run(model, clips)
    assert output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits, exact.logits, atol=0.02, rtol=0)
    torch.testing.assert_close(output.attention["spectral"].sum(1), torch.ones(3))


def test_the_order_of_the_features_in_a_batch_is_irrelevant() -> None:
    model, (clip,) = tiny_model(seed=0).eval(), make_clips([20])
    turned = dict(reversed(clip.items()))
    assert torch.equal(
        run(model, [clip]).logits, model({k: v[None] for k, v in turned.items()}, dict.fromkeys(DIMS, torch.tensor([20]))).logits
    )


def test_a_branch_uses_its_own_rows_only() -> None:
    """Branches are stacked to the largest number of rows; what is stacked beyond a branch's own rows is nothing."""
    stacked, lengths = stack_branches([torch.ones(1, 4, 3), torch.ones(1, 2, 3)], torch.tensor([2]), min_frames=5)
    assert stacked.shape == (1, 2, 4, 5)
    assert stacked[0, :, :, 0].tolist() == [[1, 1, 1, 1], [1, 1, 0, 0]]
    assert not stacked[..., 2:].any()
    assert lengths.tolist() == [2]


@pytest.mark.parametrize("rows", [1, 2, 5, 12])
def test_a_feature_of_few_rows_keeps_at_least_one(rows: int) -> None:
    config = SpectralCrnnConfig(channels=(3, 4), pools=((4, 2), (4, 2)), branch_dim=6, bottleneck_dim=8, gru_dim=5)
    model = build_model(crnn_config(("chroma",), config), shapes(chroma=rows), 3)
    assert model({"chroma": torch.randn(2, rows, 9)}, {"chroma": torch.tensor([9, 3])}).logits.isfinite().all()


def test_stored_logits() -> None:
    """Computed once with these weights and inputs; a change here is a change of the network, and old checkpoints mean something else."""
    model = tiny_model(seed=7).eval()
    generator = np.random.default_rng(7)
    features = {name: torch.from_numpy(generator.uniform(-2, 2, (2, dim, 21))).float() for name, dim in DIMS.items()}
    logits = model(features, dict.fromkeys(DIMS, torch.tensor([21, 10]))).logits
    expected = torch.tensor([[0.06639, 1.57923, -0.15763], [-0.09949, 1.40024, -0.26052]])
    torch.testing.assert_close(logits, expected, atol=1e-4, rtol=0)


def test_the_shipped_network_has_the_size_that_the_documents_state() -> None:
    config = load_config("spectral_crnn.yaml")
    features = config.features
    stored = shapes(mel=features.mel.n_mels, mfcc=features.mfcc.n_mfcc, chroma=features.chroma.n_chroma)
    model = build_model(config.model, stored, len(config.labels.keep))
    assert sum(parameter.numel() for parameter in model.parameters()) == 438_209
