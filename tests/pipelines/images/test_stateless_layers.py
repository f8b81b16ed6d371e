"""Layers drawn from a key: the same key draws the same, and what they draw follows their distributions."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.stateless_layers import (
    PerImageSeeds,
    Transform,
    fold_in,
    gaussian_noise,
    keras_transform,
    rotate90,
    with_probability,
)
from tests.pipelines.images.layer_arguments import IMAGE, SIZE

FLAT = np.full((SIZE, SIZE, 3), 90.0, np.float32)


def _apply(transform: Transform, image: np.ndarray, count: int) -> np.ndarray:
    """(count, size, size, 3): an image by the keys 0 to count - 1."""
    apply = tf.function(transform)
    return np.stack([apply(tf.constant(image), tf.constant([number, 11])).numpy() for number in range(count)])


def test_a_number_leads_to_a_key_of_its_own() -> None:
    key = tf.constant([1, 2])
    keys = {tuple(fold_in(fold_in(key, number), other).numpy()) for number in range(9) for other in range(9)}
    assert len(keys) == 81


def test_seeds_of_a_layer_differ_by_draw_and_repeat_by_key() -> None:
    def seeds(key: list[int]) -> list[tuple[int, ...]]:
        generator = PerImageSeeds(tf.constant(key))
        return [tuple(generator.next().numpy()) for _ in range(5)]

    assert seeds([3, 4]) == seeds([3, 4])
    assert len({*seeds([3, 4]), *seeds([4, 3])}) == 10


def test_a_keras_layer_draws_by_its_key_alone() -> None:
    transform = keras_transform(keras.layers.RandomBrightness(0.3))
    first, again = _apply(transform, FLAT, 6), _apply(transform, FLAT, 6)
    np.testing.assert_array_equal(first, again)
    # Brightness adds one number to all pixels: at most 0.3 of the range of 255.
    levels = first.mean((1, 2, 3))
    np.testing.assert_allclose(first, np.ones_like(first) * levels[:, None, None, None], atol=1e-3)
    assert np.abs(levels - 90).max() <= 0.3 * 255
    assert len(np.unique(levels.round(3))) == 6


@pytest.mark.parametrize("probability", [0.25, 1.0])
def test_a_transform_is_applied_as_often_as_asked(probability: float) -> None:
    def brighten(image: Tensor, key: Tensor) -> Tensor:
        return image + 10.0

    images = _apply(with_probability(brighten, probability), FLAT[:2, :2], 400)
    is_applied = (images == 100).all((1, 2, 3))
    assert (is_applied | (images == 90).all((1, 2, 3))).all()
    # Five standard deviations of a share of 400 draws.
    assert abs(is_applied.mean() - probability) <= 5 * np.sqrt(probability * (1 - probability) / 400)


def test_quarter_turns_are_equally_frequent() -> None:
    turns = [np.rot90(IMAGE, number) for number in range(4)]
    drawn = [
        next(number for number in range(4) if np.array_equal(image, turns[number]))
        for image in _apply(rotate90(), IMAGE, 400)
    ]
    # Expected 100 each, standard deviation 8.7.
    assert np.abs(np.bincount(drawn, minlength=4) - 100).max() < 45


def test_noise_is_normal_and_independent() -> None:
    noise = _apply(gaussian_noise(stddev=8.0), FLAT, 8) - FLAT
    assert abs(noise.mean()) < 0.2
    assert noise.std() == pytest.approx(8, rel=0.03)
    assert (np.abs(noise) < 16).mean() == pytest.approx(0.954, abs=0.01)
    by_channel = noise.reshape(-1, 3)
    assert np.abs(np.corrcoef(by_channel.T) - np.eye(3)).max() < 0.05


@pytest.mark.parametrize(
    "layer",
    [
        keras.layers.RandomGaussianBlur((1.0, 1.0), kernel_size=7, sigma=1.0),
        keras.layers.RandomGaussianBlur((1.0, 1.0), kernel_size=(3, 9), sigma=1.0),
        keras.layers.RandomSharpness((0.0, 0.2)),
        keras.layers.RandomSharpness((0.8, 1.0)),
    ],
)
def test_what_looks_at_neighbours_leaves_a_flat_image_flat_to_its_rim(layer: keras.layers.Layer) -> None:
    np.testing.assert_allclose(_apply(keras_transform(layer), FLAT, 3), 90, atol=0.01)
