"""Each way of pooling answers against the arithmetic it stands for."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from models.ensemble import combine
from models.errors import UserError
from models.pools import StackingRegression, log_array


def member(seed: int) -> keras.Model:
    """A network without a backbone whose answers differ much from picture to picture."""
    keras.utils.set_random_seed(seed)
    scaled = layers.Rescaling(1 / 127.5, offset=-1)
    dense = layers.Dense(3, activation="softmax", kernel_initializer="random_normal")
    return keras.Sequential([layers.Input((2, 2, 3)), scaled, layers.Flatten(), dense])


def pixels(count: int = 5) -> np.ndarray:
    return np.random.default_rng(7).uniform(0, 255, (count, 2, 2, 3)).astype(np.float32)


def predict(model: keras.Model, images: np.ndarray) -> np.ndarray:
    return np.asarray(model(images, training=False))


def test_weights_are_shares_and_members_without_any_are_left_out() -> None:
    members = [member(seed) for seed in range(3)]
    joined = combine(members, [3, 0, 1])
    assert [layer.name for layer in joined.layers if layer.name.startswith("member_")] == ["member_1", "member_2"]
    expected = 0.75 * predict(members[0], pixels()) + 0.25 * predict(members[2], pixels())
    assert np.abs(predict(joined, pixels()) - expected).max() < 1e-6


def test_geometric_is_the_normalised_product() -> None:
    members = [member(seed) for seed in range(2)]
    one, other = (predict(member, pixels()).astype(np.float64) for member in members)
    product = one**0.75 * other**0.25
    expected = product / product.sum(1, keepdims=True)
    pooled = predict(combine(members, [3, 1], method="geometric"), pixels())
    assert np.abs(pooled - expected).max() < 1e-5


def test_vote_is_the_majority_and_ties_go_to_the_surer_members() -> None:
    members = [member(seed) for seed in range(4)]
    images = pixels(60)
    every = np.stack([predict(member, images) for member in members])
    votes = np.eye(3)[every.argmax(-1)].sum(0)
    ordered = np.sort(votes, axis=1)
    assert (ordered[:, -1] == ordered[:, -2]).any(), "no tie was drawn"
    assert (ordered[:, -1] == 3).any(), "no majority was drawn"
    pooled = predict(combine(members, method="vote"), images)
    assert (pooled.argmax(1) == (votes + 0.1 * every.mean(0)).argmax(1)).all()
    assert np.abs(pooled.sum(1) - 1).max() < 1e-6


def test_stack_is_a_regression_on_log_probabilities() -> None:
    members = [member(seed) for seed in range(2)]
    generator = np.random.default_rng(0)
    stack = StackingRegression(kernel=generator.normal(size=(6, 3)).astype(np.float32), bias=np.ones(3, np.float32))
    flat = np.concatenate([np.log(predict(member, pixels())) for member in members], axis=1)
    logits = flat @ stack.kernel + stack.bias
    expected = np.exp(logits) / np.exp(logits).sum(1, keepdims=True)
    assert np.abs(predict(combine(members, method="stack", stack=stack), pixels()) - expected).max() < 1e-5


def test_temperature_keeps_the_order_and_softens() -> None:
    members = [member(seed) for seed in range(2)]
    plainly, softened = predict(combine(members), pixels()), predict(combine(members, temperature=2.0), pixels())
    expected = np.sqrt(plainly) / np.sqrt(plainly).sum(1, keepdims=True)
    assert np.abs(softened - expected).max() < 1e-6
    assert (softened.argmax(1) == plainly.argmax(1)).all()


@pytest.mark.parametrize("weights", [[1], [0, 0], [1, -1], [1, float("nan")]])
def test_weights_that_are_none_are_refused(weights: list[float]) -> None:
    with pytest.raises(ValueError, match="weights"):
        combine([member(0), member(1)], weights)


def test_an_unknown_method_names_the_nearest() -> None:
    with pytest.raises(UserError, match="unknown ensemble method: `votes`"):
        combine([member(0)], method="votes")


def test_the_logarithm_of_zero_is_finite() -> None:
    np.testing.assert_allclose(log_array(np.array([0.0, 1.0])), [np.log(1e-12), 0.0])
