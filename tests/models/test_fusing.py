"""Fused heads against the same heads one at a time, and against the softmax written out in NumPy."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from models.fusing import DenseHead, dense_head, fuse
from models.heads import HEADS, build_head

FEATURES, HIDDEN, CLASSES = 5, 4, 3


def drawn(seed: int, *shape: int) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=shape).astype(np.float32)


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(-1, keepdims=True))
    return np.asarray(powers / powers.sum(-1, keepdims=True))


def reference(head: DenseHead, rows: np.ndarray) -> np.ndarray:
    """Probabilities (images, classes) of a head, written out."""
    if head.hidden_kernel is not None and head.hidden_bias is not None:
        rows = np.maximum(rows @ head.hidden_kernel + head.hidden_bias, 0)
    return softmax(rows @ head.kernel + head.bias)


def linear(seed: int) -> DenseHead:
    return DenseHead(drawn(seed, FEATURES, CLASSES), drawn(seed + 1, CLASSES))


def hidden(seed: int) -> DenseHead:
    return DenseHead(
        drawn(seed, HIDDEN, CLASSES),
        drawn(seed + 1, CLASSES),
        drawn(seed + 2, FEATURES, HIDDEN),
        drawn(seed + 3, HIDDEN),
    )


@pytest.mark.parametrize("make", [linear, hidden])
def test_fused_heads_give_what_the_heads_give_and_nothing_for_a_missing_class(make: type) -> None:
    heads = [make(10), make(20)]
    features = keras.Input((FEATURES,))
    # The second head lacks the last of four classes and has the others in another order.
    columns = [(0, 1, 2, None), (2, 0, None, 1)]
    model = keras.Model(features, fuse(heads, features, columns, name="heads"))
    rows = drawn(3, 7, FEATURES)

    probabilities = np.asarray(model(rows))

    assert probabilities.shape == (7, 2, 4)
    np.testing.assert_allclose(probabilities[:, 0, :3], reference(heads[0], rows), atol=1e-6)
    np.testing.assert_allclose(probabilities[:, 1][:, [1, 3, 0]], reference(heads[1], rows), atol=1e-6)
    assert (probabilities[:, 0, 3] == 0).all() and (probabilities[:, 1, 2] == 0).all()


def test_a_batch_normalisation_is_folded_into_the_hidden_layer() -> None:
    keras.utils.set_random_seed(0)
    norm = layers.BatchNormalization(
        moving_mean_initializer="random_normal", moving_variance_initializer="ones", gamma_initializer="random_normal"
    )
    network = [layers.Input((FEATURES,)), layers.Dense(HIDDEN, bias_initializer="ones"), norm]
    output = layers.Dense(CLASSES, activation="softmax")
    model = keras.Sequential([*network, layers.ReLU(), layers.Dropout(0.5), output])
    head = dense_head(model)
    assert head is not None and head.shape == (FEATURES, HIDDEN)
    rows = drawn(4, 6, FEATURES)
    np.testing.assert_allclose(reference(head, rows), np.asarray(model(rows, training=False)), atol=1e-5)


def test_a_layer_without_bias_has_a_bias_of_zero() -> None:
    model = keras.Sequential([layers.Input((FEATURES,)), layers.Dense(CLASSES, "softmax", use_bias=False)])
    head = dense_head(model)
    assert head is not None and head.shape == ()
    np.testing.assert_array_equal(head.bias, np.zeros(CLASSES))


@pytest.mark.parametrize(
    "stack",
    [
        [layers.Dense(2, activation="sigmoid")],
        [layers.Dense(4), layers.ReLU(max_value=6), layers.Dense(2, activation="softmax")],
        [layers.Dense(4), layers.ReLU(), layers.Dense(4), layers.ReLU(), layers.Dense(2, "softmax")],
    ],
    ids=["sigmoid", "clipped", "two hidden layers"],
)
def test_a_head_of_another_structure_is_not_fused(stack: list[layers.Layer]) -> None:
    assert dense_head(keras.Sequential([layers.Input((4,)), *stack])) is None


def test_the_head_mlp_can_be_fused() -> None:
    assert dense_head(build_head(HEADS["mlp"], num_features=FEATURES, num_classes=CLASSES)) is not None
