"""Matrices move pixels as Keras' layers do, alone and in a row."""

from __future__ import annotations

import keras
import numpy as np
import pytest
import tensorflow as tf
from scipy import ndimage

from pipelines.images.stateless_layers import PerImageSeeds
from pipelines.images.warp import MATRICES, matrix_of, warp
from tests.pipelines.images.layer_arguments import ARGUMENTS, IMAGE, SIZE


@pytest.mark.parametrize("name", [name for name in MATRICES if hasattr(keras.layers, name)])
def test_matrices_move_pixels_as_keras_layers_do(name: str) -> None:
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in ARGUMENTS[name].items()}
    layer = getattr(keras.layers, name)(**arguments)
    for number in range(4):
        transformation = layer.get_random_transformation(
            IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([number, 3]))
        )
        white, expected = (
            np.asarray(layer.transform_images(image[None], transformation, training=True))[0]
            for image in (np.full_like(IMAGE, 255), IMAGE)
        )
        warped = np.asarray(warp(tf.constant(IMAGE), matrix_of(layer, transformation, SIZE)))
        # Keras' perspective is black outside the image, and here nothing is.
        is_inside = white > 254.9
        assert is_inside.mean() > 0.7
        np.testing.assert_allclose(warped[is_inside], expected[is_inside], atol=0.05)


def test_perspective_takes_corners_where_they_were_drawn() -> None:
    layer = keras.layers.RandomPerspective(factor=(1.0, 1.0), scale=0.4)
    for number in range(4):
        drawn = layer.get_random_transformation(
            IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([number, 3]))
        )
        corners = [[0, 0], [SIZE - 1, 0], [0, SIZE - 1], [SIZE - 1, SIZE - 1]]
        targets = np.asarray(drawn["end_points"])[0]
        # Each moves by at most half of the scale, as a fraction of its distance from the first.
        assert np.abs(targets - corners).max() <= 0.2 * (SIZE - 1) + 1e-3
        sources = np.c_[targets, np.ones(4)] @ np.asarray(matrix_of(layer, drawn, SIZE)).T
        np.testing.assert_allclose(sources[:, :2] / sources[:, 2:], corners, atol=1e-2)


def test_perspective_that_is_not_applied_leaves_places_alone() -> None:
    layer = keras.layers.RandomPerspective(factor=0.0)
    drawn = layer.get_random_transformation(IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([0, 3])))
    np.testing.assert_array_equal(matrix_of(layer, drawn, SIZE), np.eye(3))


def test_warp_divides_by_the_third_coordinate() -> None:
    to_source = np.array([[1.6, 0.1, 3.0], [-0.2, 2.0, 1.0], [0.004, -0.003, 2.0]], np.float32)
    y, x = np.mgrid[0:SIZE, 0:SIZE]
    source = to_source @ np.stack([x.ravel(), y.ravel(), np.ones(x.size)])
    places = (source[:2] / source[2])[::-1].reshape(2, SIZE, SIZE)
    expected = np.stack(
        [ndimage.map_coordinates(IMAGE[..., channel], places, order=1, mode="reflect") for channel in range(3)], -1
    )
    np.testing.assert_allclose(warp(tf.constant(IMAGE), tf.constant(to_source)), expected, atol=0.05)


def test_a_row_of_moves_is_one_resampling_in_their_order() -> None:
    flip, shift = keras.layers.RandomFlip("horizontal"), keras.layers.RandomTranslation(0.0, (0.25, 0.25))
    drawn_flip = {"flips": tf.constant(True, shape=(1, 1, 1, 1)), "input_shape": (1, SIZE, SIZE, 3)}
    drawn_shift = shift.get_random_transformation(IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([0, 0])))
    expected = shift.transform_images(flip.transform_images(IMAGE[None], drawn_flip), drawn_shift)[0]
    both = tf.eye(3) @ matrix_of(flip, drawn_flip, SIZE) @ matrix_of(shift, drawn_shift, SIZE)
    np.testing.assert_allclose(warp(tf.constant(IMAGE), both), expected, atol=0.05)


def test_warp_is_bilinear_and_mirrors_outside() -> None:
    # scipy's `reflect` repeats the edge, (d c b a | a b c d | d c b a), as TensorFlow's REFLECT does.
    to_source = np.array([[0.8, 0.3, 5.3], [-0.2, 1.1, -3.7], [0.0, 0.0, 1.0]], np.float32)
    rows_first = to_source[[1, 0]][:, [1, 0]], to_source[[1, 0], 2]
    expected = np.stack(
        [
            ndimage.affine_transform(IMAGE[..., channel], *rows_first, order=1, mode="reflect")
            for channel in range(IMAGE.shape[-1])
        ],
        -1,
    )
    np.testing.assert_allclose(warp(tf.constant(IMAGE), tf.constant(to_source)), expected, atol=0.05)
