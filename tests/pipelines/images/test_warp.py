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


@pytest.mark.parametrize("name", MATRICES)
def test_matrices_move_pixels_as_keras_layers_do(name: str) -> None:
    arguments = {key: tuple(value) if isinstance(value, list) else value for key, value in ARGUMENTS[name].items()}
    layer = getattr(keras.layers, name)(**arguments)
    for number in range(4):
        transformation = layer.get_random_transformation(
            IMAGE[None], training=True, seed=PerImageSeeds(tf.constant([number, 3]))
        )
        expected = np.asarray(layer.transform_images(IMAGE[None], transformation, training=True))[0]
        warped = np.asarray(warp(tf.constant(IMAGE), matrix_of(layer, transformation, SIZE)))
        np.testing.assert_allclose(warped, expected, atol=0.05)


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
