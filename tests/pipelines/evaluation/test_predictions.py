"""Predictions of a model over batches: in order, whole, with the labels of the batches."""

from __future__ import annotations

import tracemalloc

import keras
import numpy as np
import pytest

from pipelines.evaluation.predictions import gather_predictions, join_rows, predict_batches


def test_batches_are_gathered_in_order_whatever_follows_the_labels() -> None:
    batches = [(np.arange(3), [0, 1, 2], "weights"), (np.arange(3, 5), [3, 4])]
    probabilities, labels = gather_predictions(lambda inputs: np.stack([inputs, 1 - inputs], axis=1), batches)
    np.testing.assert_array_equal(probabilities, [[0, 1], [1, 0], [2, -1], [3, -2], [4, -3]])
    np.testing.assert_array_equal(labels, [0, 1, 2, 3, 4])
    assert labels.dtype == np.int32


def test_a_model_predicts_as_in_inference() -> None:
    inputs = keras.Input((4,))
    model = keras.Model(inputs, keras.layers.Dropout(0.5, seed=0)(keras.layers.Softmax()(inputs)))
    pixels = np.random.default_rng(0).normal(size=(6, 4)).astype(np.float32)
    probabilities, labels = predict_batches(model, [(pixels[:4], np.arange(4)), (pixels[4:], np.arange(2))])
    powers = np.exp(pixels)
    np.testing.assert_allclose(probabilities, powers / powers.sum(1, keepdims=True), rtol=1e-5)
    np.testing.assert_array_equal(labels, [0, 1, 2, 3, 0, 1])


def test_no_batches_are_an_error() -> None:
    with pytest.raises(ValueError, match="at least one"):
        gather_predictions(lambda inputs: inputs, [])


def test_rows_are_joined_as_numpy_does_with_one_piece_beside_them() -> None:
    pieces = [np.random.default_rng(number).random((rows, 1000), np.float32) for number, rows in enumerate((500, 7))]
    np.testing.assert_array_equal(join_rows(iter(pieces), 507), np.concatenate(pieces))
    tracemalloc.start()
    try:
        joined = join_rows((np.full((100, 1000), number, np.float32) for number in range(50)), 5000)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert joined[::100, 0].tolist() == list(range(50))
    assert peak < 1.1 * joined.nbytes


@pytest.mark.parametrize("num_images", [1, 3])
def test_rows_that_are_missing_or_too_many_are_an_error(num_images: int) -> None:
    with pytest.raises(ValueError, match=r"rows|broadcast"):
        join_rows(iter([np.ones((2, 3), np.float32)]), num_images)
