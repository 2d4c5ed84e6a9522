"""A mixture of experts sees the real frames of each feature and nothing else, and says how it weighed its experts."""

from collections.abc import Mapping, Sequence
from itertools import combinations
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from ser.config import SpectralExpertConfig, SslExpertConfig, SslSpectralMoeConfig, TrainConfig
from ser.families import SSL
from ser.features.base import FeatureShape
from ser.models.base import ModelOutput
from ser.models.pooling import frame_mask
from ser.models.registry import build_model
from ser.models.ssl_spectral_moe import ConvBlock, LayerMix, SslExpert, SslSpectralMoe
from ser.training.losses import ExtraLosses, make_loss
from toys import FRAME_RATE, SHAPES, SSL_RATE, TINY_MOE, fill, moe_config, tiny_moe

ALL = tuple(SHAPES)
SUBSETS = [names for size in range(1, 5) for names in combinations(ALL, size)]


def with_layers(ssl: int = 1, spectral: int = 0, **changes: Any) -> SslSpectralMoeConfig:
    """The tiny config with this many Transformer layers in each expert."""
    experts = {
        "ssl": TINY_MOE.ssl.model_copy(update={"layers": ssl}),
        "spectral": TINY_MOE.spectral.model_copy(update={"layers": spectral}),
    }
    return TINY_MOE.model_copy(update={**experts, **changes})


CONFIGS = {
    "no Transformer": with_layers(0, 0),
    "one in ssl": with_layers(1, 0),
    "in all": with_layers(2, 1),
    "concat": with_layers(1, 1, fusion="concat"),
    "auxiliary classifier": with_layers(1, 0),
    "one convolution": TINY_MOE.model_copy(update={"spectral": SpectralExpertConfig(channels=(8,), kernel=3)}),
    "three wide convolutions": TINY_MOE.model_copy(update={"spectral": SpectralExpertConfig(channels=(4, 6, 8), kernel=7)}),
}
Clips = list[dict[str, Tensor]]


def frames_of(feature: str, milliseconds: int) -> int:
    """Of a clip, at the rate of the feature."""
    return max(round(milliseconds / 1000 * SHAPES[feature].frame_rate), 1)


def make_clips(durations: Sequence[int], features: Sequence[str] = ALL, seed: int = 0) -> Clips:
    """Each {name: (rows, frames)}, of clips of these lengths in milliseconds."""
    generator = torch.Generator().manual_seed(seed)
    return [
        {name: torch.randn(SHAPES[name].rows, frames_of(name, duration), generator=generator) for name in features}
        for duration in durations
    ]


def run(model: SslSpectralMoe, clips: Clips, extra: int = 0, garbage: float = 0.0) -> ModelOutput:
    """One batch, every feature padded to its longest and `extra` frames beyond; in the padding stands `garbage` times noise."""
    lengths = {name: torch.tensor([clip[name].shape[1] for clip in clips]) for name in clips[0]}
    features = {
        name: garbage * torch.randn(len(clips), SHAPES[name].rows, int(real_frames.max()) + extra) for name, real_frames in lengths.items()
    }
    for index, clip in enumerate(clips):
        for name, rows in clip.items():
            features[name][index, :, : rows.shape[1]] = rows
    output = model(features, lengths)
    assert isinstance(output, ModelOutput)
    return output


def assert_same(output: ModelOutput, index: int, alone: ModelOutput) -> None:
    """Utterance `index` of a batch, against the same one alone."""
    pairs = [(output.logits, alone.logits), (output.embedding, alone.embedding)]
    if output.gate is not None and alone.gate is not None:
        pairs.append((output.gate, alone.gate))
    if output.aux_logits is not None and alone.aux_logits is not None:
        pairs.append((output.aux_logits, alone.aux_logits))
    for ours, theirs in pairs:
        torch.testing.assert_close(ours[index], theirs[0], atol=1e-4, rtol=0)
    for name, expected in alone.attention.items():
        weights = output.attention[name][index]
        steps = min(len(weights), expected.shape[1])
        torch.testing.assert_close(weights[:steps], expected[0, :steps], atol=1e-4, rtol=0)
        assert not weights[steps:].any()


# nothing but the real frames


@given(
    durations=st.lists(st.integers(1, 900), min_size=2, max_size=5),
    features=st.sampled_from(SUBSETS),
    config=st.sampled_from(list(CONFIGS)),
    extra=st.integers(0, 9),
    garbage=st.sampled_from([0.0, 1.0, 1e3]),
    seed=st.integers(0, 99),
)
@settings(max_examples=60, deadline=None)
def test_an_utterance_gets_the_same_result_alone_padded_and_in_any_batch(
    durations: list[int], features: tuple[str, ...], config: str, extra: int, garbage: float, seed: int
) -> None:
    aux = features[-1] if config == "auxiliary classifier" else None
    model = tiny_moe(3, features, CONFIGS[config].model_copy(update={"aux_expert": aux}), seed).eval()
    clips = make_clips(durations, features, seed)
    with torch.inference_mode():
        batch = run(model, clips, extra, garbage)
        turned = run(model, clips[::-1], extra, garbage)
        for index, clip in enumerate(clips):
            alone = run(model, [clip])
            assert_same(batch, index, alone)
            assert_same(turned, len(clips) - 1 - index, alone)
            assert_same(run(model, [clip], extra, garbage), 0, alone)


@pytest.mark.parametrize("layers", [1, 2, 3])
@pytest.mark.parametrize("fusion", ["gate", "concat"])
def test_one_frame_and_many_give_the_same_result_in_one_batch(layers: int, fusion: str) -> None:
    """With so many hidden states, and so many Transformer layers in every expert."""
    shapes = {**SHAPES, SSL: FeatureShape(12, SSL_RATE, layers)}
    model = tiny_moe(config=with_layers(layers, layers, fusion=fusion), seed=layers, shapes=shapes).eval()
    clips = make_clips([1, 20, 5000, 700])
    assert [clip[SSL].shape[1] for clip in clips] == [1, 1, 250, 35]
    with torch.inference_mode():
        batch = run(model, clips, extra=3, garbage=10.0)
        for index, clip in enumerate(clips):
            assert_same(batch, index, run(model, [clip]))


def test_the_default_network_gives_the_same_result_in_any_batch() -> None:
    """At its real size: one frame, as short as a clip gets, and as many as `audio.duration` makes."""
    torch.manual_seed(0)
    shapes = {SSL: FeatureShape(7 * 512, 50.0, 7), **{name: FeatureShape(rows, 62.5) for name, rows in (("mel", 128), ("mfcc", 40))}}
    model = build_model(moe_config((SSL, "mel", "mfcc"), SslSpectralMoeConfig()), shapes, 8).eval()
    lengths = {name: torch.tensor([1, 7, frames // 2, frames]) for name, frames in ((SSL, 250), ("mel", 313), ("mfcc", 313))}
    features = {name: torch.randn(4, shapes[name].rows, int(real_frames.max())) for name, real_frames in lengths.items()}
    with torch.inference_mode():
        together = model(features, lengths)
        for index in range(4):
            cut = {name: x[index : index + 1, :, : lengths[name][index]] for name, x in features.items()}
            assert_same(together, index, model(cut, {name: real_frames[index : index + 1] for name, real_frames in lengths.items()}))


@pytest.mark.parametrize("layers", [0, 1])
def test_no_gradient_comes_from_padding(layers: int) -> None:
    model = tiny_moe(config=with_layers(layers, layers), seed=0).eval()
    lengths = {name: torch.tensor([4, 12]) + (name == SSL) for name in ALL}
    features = {name: torch.randn(2, SHAPES[name].rows, 14, requires_grad=True) for name in ALL}
    model(features, lengths).logits.sum().backward()
    for name, x in features.items():
        assert x.grad is not None
        gradient, mask = x.grad.transpose(1, 2), frame_mask(lengths[name], 14)
        assert not gradient[~mask].any()
        assert gradient[mask].any(dim=1).all(), "every real frame counts"


def test_each_feature_keeps_the_lengths_of_its_own() -> None:
    """More frames of one feature change nothing in the expert of another."""
    model = tiny_moe(features=(SSL, "mel"), seed=1).eval()
    (clip,), (longer,) = make_clips([200], (SSL, "mel")), make_clips([400], (SSL, "mel"))
    one, other = run(model, [clip]), run(model, [{SSL: clip[SSL], "mel": longer["mel"]}])
    assert torch.equal(one.attention[SSL], other.attention[SSL])
    assert one.attention["mel"].shape != other.attention["mel"].shape


@pytest.mark.parametrize("frames", range(1, 18))
def test_a_convolution_halves_the_frames_and_leaves_no_padding_behind(frames: int) -> None:
    block = ConvBlock(3, 4, 5, dropout=0.0).eval()
    fill(block, seed=1)
    x = torch.zeros(1, 3, 20)
    x[..., :frames] = torch.randn(1, 3, frames)
    y, lengths = block(x, torch.tensor([frames]))
    assert y.shape == (1, 4, 10)
    assert lengths.tolist() == [-(-frames // 2)]
    assert not y[..., -(-frames // 2) :].any()
    torch.testing.assert_close(y[..., : -(-frames // 2)], block(x[..., :frames], torch.tensor([frames]))[0])


# what the output tells


@given(
    durations=st.lists(st.integers(1, 900), min_size=1, max_size=5),
    features=st.sampled_from(SUBSETS),
    config=st.sampled_from(["no Transformer", "in all", "three wide convolutions"]),
)
@settings(max_examples=30, deadline=None)
def test_gate_and_attention_sum_to_one_and_padding_has_no_attention(durations: list[int], features: tuple[str, ...], config: str) -> None:
    model = tiny_moe(3, features, CONFIGS[config], seed=1).eval()
    clips = make_clips(durations, features)
    output = run(model, clips, extra=6, garbage=5.0)
    assert output.gate is not None
    assert output.gate.shape == (len(clips), len(features))
    assert (output.gate >= 0).all()
    torch.testing.assert_close(output.gate.sum(1), torch.ones(len(clips)))
    assert list(output.attention) == list(features)
    halvings = len(CONFIGS[config].spectral.channels)
    for name, weights in output.attention.items():
        torch.testing.assert_close(weights.sum(1), torch.ones(len(clips)))
        for row, clip in zip(weights, clips, strict=True):
            steps = clip[name].shape[1] if name == SSL else -(-clip[name].shape[1] // 2**halvings)
            assert (row[:steps] > 0).all()
            assert not row[steps:].any()


@pytest.mark.parametrize("channels", [(8,), (6, 8), (4, 6, 8)])
def test_attention_tells_its_rate_in_hertz(channels: tuple[int, ...]) -> None:
    config = TINY_MOE.model_copy(update={"spectral": SpectralExpertConfig(channels=channels, kernel=3)})
    output = run(tiny_moe(config=config), make_clips([640]))
    spectral = FRAME_RATE / 2 ** len(channels)
    assert output.attention_rate == {SSL: SSL_RATE, "mel": spectral, "mfcc": spectral, "chroma": spectral}
    for name, rate in output.attention_rate.items():
        assert output.attention[name].shape[1] == pytest.approx(0.64 * rate)


@pytest.mark.parametrize("features", SUBSETS)
@pytest.mark.parametrize("fusion", ["gate", "concat"])
@pytest.mark.parametrize("aux", [True, False])
def test_shapes_of_the_output(features: tuple[str, ...], fusion: str, aux: bool) -> None:
    config = TINY_MOE.model_copy(update={"fusion": fusion, "aux_expert": features[0] if aux else None})
    output = run(tiny_moe(5, features, config), make_clips([100, 300, 1], features))
    assert output.logits.shape == (3, 5)
    assert output.logits.dtype == torch.float32
    assert output.embedding.shape == (3, TINY_MOE.fusion_dim)
    assert (None if output.gate is None else output.gate.shape) == ((3, len(features)) if fusion == "gate" else None)
    assert (None if output.aux_logits is None else output.aux_logits.shape) == ((3, 5) if aux else None)


def test_the_classifier_sees_the_sum_of_the_experts_weighed_by_the_gate() -> None:
    model, clips = tiny_moe(seed=2).eval(), make_clips([150, 420])
    output = run(model, clips)
    lengths = {name: torch.tensor([clip[name].shape[1] for clip in clips]) for name in ALL}
    vectors = []
    for name, expert in model.experts.items():
        x = torch.zeros(2, SHAPES[name].rows, int(lengths[name].max()))
        for index, clip in enumerate(clips):
            x[index, :, : lengths[name][index]] = clip[name]
        vectors.append(expert(x, lengths[name])[0])
    assert output.gate is not None
    mixture = sum(output.gate[:, index, None] * vector for index, vector in enumerate(vectors))
    torch.testing.assert_close(output.embedding, model.norm(mixture))
    torch.testing.assert_close(output.logits, model.classifier(output.embedding))


def test_the_auxiliary_classifier_hears_its_own_expert_alone() -> None:
    config = TINY_MOE.model_copy(update={"aux_expert": "mel"})
    model, clips = tiny_moe(config=config, seed=3).eval(), make_clips([150, 420])
    other = [{**clip, SSL: clip[SSL] + 1, "chroma": clip["chroma"] * 2} for clip in clips]
    changed = [{**clip, "mel": clip["mel"] + 1} for clip in clips]
    expected = run(model, clips).aux_logits
    assert expected is not None
    assert torch.equal(expected, run(model, other).aux_logits)  # type: ignore[arg-type]
    assert not torch.equal(expected, run(model, changed).aux_logits)  # type: ignore[arg-type]


def test_the_gate_weighs_each_utterance_by_all_its_experts() -> None:
    model, (clip,) = tiny_moe(seed=4).eval(), make_clips([300])
    gate = run(model, [clip]).gate
    for name in ALL:
        assert not torch.equal(gate, run(model, [{**clip, name: clip[name] + 1}]).gate)  # type: ignore[arg-type]


def test_a_single_expert_has_all_the_weight() -> None:
    output = run(tiny_moe(features=("mel",)), make_clips([100, 300], ("mel",)))
    assert output.gate is not None
    assert output.gate.tolist() == [[1.0], [1.0]]


def test_the_order_of_the_features_in_a_batch_is_irrelevant() -> None:
    model, (clip,) = tiny_moe(seed=0).eval(), make_clips([300])
    assert torch.equal(run(model, [clip]).logits, run(model, [dict(reversed(clip.items()))]).logits)


def test_the_order_of_the_store_does_not_decide_the_order_of_the_experts() -> None:
    turned = dict(reversed(SHAPES.items()))
    assert list(tiny_moe(shapes=turned).experts) == list(ALL)


# the mean of the hidden states


def test_hidden_states_start_with_equal_weights() -> None:
    mix = LayerMix(3)
    assert mix.weights().tolist() == pytest.approx([1 / 3] * 3)
    states = torch.randn(2, 5, 12)
    torch.testing.assert_close(mix(states), (states[..., :4] + states[..., 4:8] + states[..., 8:]) / 3)


def test_the_weights_of_hidden_states_are_the_softmax_of_the_stretched_scores() -> None:
    mix = LayerMix(2)
    mix.load_state_dict({"scores": torch.tensor([0.0, np.log(3) / LayerMix.GAIN])})
    assert mix.weights().tolist() == pytest.approx([0.25, 0.75])
    states = torch.tensor([[[8.0, 4.0, 0.0, 100.0]]])  # one frame; the first state is (8, 4), the second (0, 100)
    torch.testing.assert_close(mix(states), torch.tensor([[[2.0, 76.0]]]))


def test_a_single_hidden_state_has_nothing_to_learn_and_all_the_weight() -> None:
    model = tiny_moe(features=(SSL,), shapes={SSL: FeatureShape(12, SSL_RATE, 1)})
    output = run(model, make_clips([150, 420], (SSL,)))
    torch.autograd.backward(output.logits.sum())
    assert not [name for name, parameter in model.named_parameters() if parameter.grad is None]
    assert model.layer_weights() == [1.0]


def test_the_scores_learn_which_hidden_state_tells_the_most() -> None:
    mix = LayerMix(3)
    optimizer = torch.optim.AdamW(mix.parameters(), lr=1e-3)
    states = torch.randn(8, 5, 12)
    for _ in range(60):
        optimizer.zero_grad()
        (mix(states) - states[..., 4:8]).square().mean().backward()
        assert mix.scores.grad is not None
        optimizer.step()
    assert mix.weights().argmax() == 1
    assert mix.weights()[1] > 0.6


@pytest.mark.parametrize(("features", "expected"), [((SSL, "mel"), [1 / 3] * 3), (("mel",), None)])
def test_a_model_tells_how_it_weighs_the_hidden_states(features: tuple[str, ...], expected: list[float] | None) -> None:
    found = tiny_moe(features=features).layer_weights()
    assert found == (None if expected is None else pytest.approx(expected))


# parameters


def parameter_names(**arguments: Any) -> set[str]:
    return {name for name, _ in tiny_moe(**arguments).named_parameters()}


@pytest.mark.parametrize("dropped", ALL)
def test_dropping_an_expert_drops_its_parameters(dropped: str) -> None:
    kept = tuple(name for name in ALL if name != dropped)
    everything, rest = parameter_names(), parameter_names(features=kept)
    assert rest < everything
    assert {name.split(".")[1] for name in everything - rest} == {dropped}
    assert all(name.startswith("experts.") for name in everything - rest)
    gates = [tiny_moe(features=names).fusion for names in (ALL, kept)]
    assert [gate.scores[-1].out_features for gate in gates] == [4, 3]  # type: ignore[union-attr,index]


@pytest.mark.parametrize("aux", [None, SSL, "mel"])
@pytest.mark.parametrize("fusion", ["gate", "concat"])
def test_every_parameter_gets_a_gradient(aux: str | None, fusion: str) -> None:
    config = with_layers(1, 1, fusion=fusion, aux_expert=aux, gate_balance=0.1)
    model = tiny_moe(config=config, seed=5)
    output = run(model, make_clips([150, 420, 700]))
    losses = ExtraLosses.from_config(moe_config(config=config))
    torch.autograd.backward(losses.total(make_loss(TrainConfig()), output, torch.tensor([0, 1, 2])))
    for name, parameter in model.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        # a number that is added to the scores of all frames alike cancels in the softmax
        assert parameter.grad.any() or name.endswith("pooling.attention.score.2.bias"), name


def test_without_an_auxiliary_expert_there_is_no_auxiliary_classifier() -> None:
    with_aux = parameter_names(config=TINY_MOE.model_copy(update={"aux_expert": "mel"}))
    assert with_aux - parameter_names() == {"aux_classifier.weight", "aux_classifier.bias"}


def test_position_is_the_backbones_business() -> None:
    """Frames in another order give the ssl expert the same vector: it adds no encoding of position."""
    expert = SslExpert(SslExpertConfig(dim=8, heads=2, ff_dim=10), SHAPES[SSL], 6, 0.0).eval()
    x, lengths = torch.randn(1, 12, 9), torch.tensor([9])
    torch.testing.assert_close(expert(x, lengths)[0], expert(x.flip(-1), lengths)[0])


def test_bfloat16_is_near_single_precision() -> None:
    torch.manual_seed(0)
    model, clips = tiny_moe(config=with_layers(1, 1)).eval(), make_clips([1, 300, 900])
    exact = run(model, clips)
    with torch.autocast("cpu", torch.bfloat16):
        output = run(model, clips)
    assert output.logits.dtype == torch.float32
    torch.testing.assert_close(output.logits, exact.logits, atol=0.03, rtol=0)
    assert exact.gate is not None
    torch.testing.assert_close(output.gate, exact.gate, atol=0.02, rtol=0)
    torch.testing.assert_close(output.attention[SSL].sum(1), torch.ones(3))


def test_dropout_acts_in_training_only() -> None:
    model, clips = tiny_moe(seed=6), make_clips([300])
    assert not torch.equal(run(model.train(), clips).logits, run(model, clips).logits)
    assert torch.equal(run(model.eval(), clips).logits, run(model, clips).logits)


def test_stored_logits() -> None:
    """Computed once with these weights and inputs; a change here is a change of the network, and old checkpoints mean something else."""
    model = tiny_moe(config=with_layers(1, 1, aux_expert="chroma"), seed=7).eval()
    generator = np.random.default_rng(7)
    features: Mapping[str, Tensor] = {
        name: torch.from_numpy(generator.uniform(-2, 2, (2, shape.rows, 21))).float() for name, shape in SHAPES.items()
    }
    output = model(features, dict.fromkeys(SHAPES, torch.tensor([21, 10])))
    for found, expected in (
        (output.logits, [[-0.78001, 0.30363, -0.73171], [-0.78347, 0.31117, -0.73403]]),
        (output.gate, [[0.16073, 0.31475, 0.11669, 0.40783], [0.15566, 0.30739, 0.11156, 0.42539]]),
        (output.aux_logits, [[0.65426, 0.93835, 0.42474], [0.64810, 0.92801, 0.41323]]),
    ):
        torch.testing.assert_close(found, torch.tensor(expected), atol=1e-4, rtol=0)
