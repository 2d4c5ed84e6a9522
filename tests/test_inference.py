"""Probabilities of a whole dataset, in the order of its entries."""

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from sklearn.metrics import log_loss

from ser import inference
from ser.data import SpeechDataset
from ser.inference import cross_entropy, predict_dataset
from toys import tiny_model, toy_dataset

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
    probabilities = predict_dataset(model, data, CPU)
    assert not model.training
    with torch.inference_mode():
        for index in range(len(data)):
            batch = data.batch([index])
            expected = model(batch.features, batch.lengths).logits.softmax(-1)[0]
            np.testing.assert_allclose(probabilities[index], expected, atol=1e-5)


def test_probabilities_are_of_double_precision_and_sum_to_one(data: SpeechDataset) -> None:
    probabilities = predict_dataset(tiny_model(), data, CPU)
    assert probabilities.shape == (15, 3)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    assert (probabilities > 0).all()


def test_a_prediction_leaves_the_model_as_it_was(data: SpeechDataset) -> None:
    """Batch norm's statistics above all."""
    model = tiny_model(seed=0)
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}
    predict_dataset(model, data, CPU)
    assert all(torch.equal(before[name], tensor) for name, tensor in model.state_dict().items())


def test_cross_entropy_agrees_with_scikit_learn() -> None:
    generator = np.random.default_rng(0)
    probabilities, labels = generator.dirichlet(np.ones(4), 50), generator.integers(0, 4, 50)
    assert cross_entropy(probabilities, labels) == pytest.approx(log_loss(labels, probabilities, labels=range(4)))


def test_a_class_with_probability_zero_costs_much_and_not_infinitely() -> None:
    assert cross_entropy(np.array([[1.0, 0.0]]), np.array([1])) == pytest.approx(12 * math.log(10))
