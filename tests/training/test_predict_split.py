"""Probabilities of a whole dataset, in the order of its entries."""

from pathlib import Path

import numpy as np
import pytest
import torch

from ser.families import SSL
from ser.training import predict_split as inference
from ser.training.batches import SpeechDataset
from ser.training.predict_split import predict_dataset
from toys import DIMS, TINY_MOE, tiny_model, tiny_moe, toy_dataset

CPU = torch.device("cpu")


@pytest.fixture
def data(tmp_path: Path) -> SpeechDataset:
    return toy_dataset(tmp_path / "store", [0, 1, 2] * 5)


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_rows_stand_in_the_order_of_the_entries_whatever_the_batches(
    data: SpeechDataset, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    monkeypatch.setattr(inference, "BATCH_SIZE", batch_size)
    model = tiny_model(seed=0).train()
    outputs = predict_dataset(model, data, CPU)
    assert outputs.gates is None
    assert not model.training
    with torch.inference_mode():
        for index in range(len(data)):
            batch = data.batch([index])
            expected = model(batch.features, batch.lengths).logits.softmax(-1)[0]
            np.testing.assert_allclose(outputs.probabilities[index], expected, atol=1e-5)


def test_probabilities_are_of_double_precision_and_sum_to_one(data: SpeechDataset) -> None:
    probabilities = predict_dataset(tiny_model(), data, CPU).probabilities
    assert probabilities.shape == (15, 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    assert (probabilities > 0).all()


@pytest.mark.parametrize("batch_size", [1, 4, 64])
def test_gates_stand_beside_the_probabilities_of_their_utterance(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int) -> None:
    monkeypatch.setattr(inference, "BATCH_SIZE", batch_size)
    data = toy_dataset(tmp_path / "moe", [0, 1, 2] * 4, names=(SSL, *DIMS))
    model = tiny_moe(seed=0)
    outputs = predict_dataset(model, data, CPU)
    assert outputs.gates is not None
    assert outputs.gates.shape == (12, 4)
    assert outputs.gates.dtype == np.float64
    np.testing.assert_allclose(outputs.gates.sum(1), 1, rtol=1e-6)
    with torch.inference_mode():
        for index in range(len(data)):
            batch = data.batch([index])
            alone = model(batch.features, batch.lengths)
            np.testing.assert_allclose(outputs.gates[index], alone.gate[0], atol=1e-5)
            np.testing.assert_allclose(outputs.probabilities[index], alone.logits.softmax(-1)[0], atol=1e-5)


def test_a_concatenation_has_no_gates(tmp_path: Path) -> None:
    data = toy_dataset(tmp_path / "moe", [0, 1, 2], names=(SSL, "mel"))
    model = tiny_moe(features=(SSL, "mel"), config=TINY_MOE.model_copy(update={"fusion": "concat"}))
    assert predict_dataset(model, data, CPU).gates is None


@pytest.mark.parametrize("names", [tuple(DIMS), (SSL, *DIMS)])
def test_attention_is_that_of_each_utterance_alone_without_padding(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, names: tuple[str, ...]
) -> None:
    monkeypatch.setattr(inference, "BATCH_SIZE", 4)
    data = toy_dataset(tmp_path / "store", [0, 1, 2] * 3, names=names)
    model = tiny_moe(seed=0) if SSL in names else tiny_model(seed=0)
    attention = predict_dataset(model, data, CPU).attention
    assert set(attention.weights) == set(attention.rate) == ({*names} if SSL in names else {"spectral"})
    with torch.inference_mode():
        for index in range(len(data)):
            batch = data.batch([index])
            for name, weights in model(batch.features, batch.lengths).attention.items():
                np.testing.assert_allclose(attention.weights[name][index], np.trim_zeros(weights[0].numpy(), "b"), atol=1e-5)
                assert attention.weights[name][index].sum() == pytest.approx(1, abs=1e-4)


def test_a_prediction_leaves_the_model_as_it_was(data: SpeechDataset) -> None:
    """Batch norm's statistics above all."""
    model = tiny_model(seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict_dataset(model, data, CPU)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())
