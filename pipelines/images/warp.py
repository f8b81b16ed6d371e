"""Layers that only move pixels as 3x3 matrices, so that several in a row cost one resampling."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import tensorflow as tf

Tensor = Any  # TensorFlow carries no types


def matrix(layer: Any, drawn: dict[str, Tensor], size: int) -> Tensor:
    """What a Keras layer drew for one image as a 3x3 matrix from places (x, y, 1) in the result to the source.

    Args:
        layer: of a kind in `WARPS`.
        drawn: its `get_random_transformation` for a batch of one.
        size: side of the image, pixels.
    """
    return WARPS[type(layer).__name__](layer, drawn, float(size - 1))


def warp(image: Tensor, whole: Tensor) -> Tensor:
    """Resample an image (size, size, 3) bilinearly along a 3x3 matrix without perspective; outside it is mirrored."""
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.reshape(whole, [1, 9])[:, :8],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(warped[0], image.shape)


def _rows(*values: Tensor | float) -> Tensor:
    return tf.reshape(
        tf.stack([tf.reshape(tf.cast(each, tf.float32), []) for each in (*values, 0.0, 0.0, 1.0)]), [3, 3]
    )


def _flip(layer: Any, drawn: dict[str, Tensor], last: float) -> Tensor:
    flipped = tf.reshape(drawn["flips"], [])

    def axis(word: str) -> tuple[Tensor, Tensor]:
        turns = flipped & (word in layer.mode)
        return tf.where(turns, -1.0, 1.0), tf.where(turns, last, 0.0)

    (x, right), (y, bottom) = axis("horizontal"), axis("vertical")
    return _rows(x, 0.0, right, 0.0, y, bottom)


def _rotation(layer: Any, drawn: dict[str, Tensor], last: float) -> Tensor:
    values = tf.reshape(drawn["rotation_matrix"], [8])
    return tf.reshape(tf.concat([values, [1.0]], 0), [3, 3])


def _zoom(layer: Any, drawn: dict[str, Tensor], last: float) -> Tensor:
    wide, high = tf.reshape(drawn["width_zoom"], []), tf.reshape(drawn["height_zoom"], [])
    return _rows(wide, 0.0, last / 2 * (1 - wide), 0.0, high, last / 2 * (1 - high))


def _translation(layer: Any, drawn: dict[str, Tensor], last: float) -> Tensor:
    right, down = tf.unstack(tf.reshape(drawn["translations"], [2]))
    return _rows(1.0, 0.0, -right, 0.0, 1.0, -down)


def _shear(layer: Any, drawn: dict[str, Tensor], last: float) -> Tensor:
    x, y = tf.unstack(tf.reshape(drawn["shear_factor"], [2]))
    return _rows(1.0, x, 0.0, y, 1.0, 0.0)


# Keras' layer -> its matrix. A test compares each with what the layer itself does.
WARPS: dict[str, Callable[[Any, dict[str, Tensor], float], Tensor]] = {
    "RandomFlip": _flip,
    "RandomRotation": _rotation,
    "RandomZoom": _zoom,
    "RandomTranslation": _translation,
    "RandomShear": _shear,
}
