"""Expresses the layers that only move pixels as 3x3 matrices, so that several in a row cost one resampling."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import keras
import tensorflow as tf

from models.arrays import Tensor

# A layer, what it drew for a batch of one, the last place on each axis (size - 1) -> float32 (3, 3)
Matrix = Callable[[keras.layers.Layer, Mapping[str, Tensor], float], Tensor]


def matrix_of(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], size: int) -> Tensor:
    """The matrix (3, 3) that leads from places (x, y, 1) in the result of a layer to places in its source.

    Args:
        layer: of a kind in `MATRICES`.
        transformation: its `get_random_transformation` for a batch of one.
        size: side of the image, pixels.
    """
    return MATRICES[type(layer).__name__](layer, transformation, float(size - 1))


def warp(image: Tensor, to_source: Tensor) -> Tensor:
    """Resample an image bilinearly; places outside it are mirrored.

    Args:
        image: (size, size, 3) float32.
        to_source: (3, 3) from places (x, y, 1) in the result to places (x, y, 1) in `image`, up to a factor.

    Returns:
        (size, size, 3) float32.
    """
    warped = tf.raw_ops.ImageProjectiveTransformV3(
        images=image[tf.newaxis],
        transforms=tf.reshape(to_source / to_source[2, 2], [1, 9])[:, :8],
        output_shape=image.shape[:2],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="REFLECT",
    )
    return tf.ensure_shape(warped[0], image.shape)


def _affine(*first_two_rows: Tensor | float) -> Tensor:
    """A matrix (3, 3) from the six values of its first two rows."""
    values = [tf.reshape(tf.cast(value, tf.float32), []) for value in (*first_two_rows, 0.0, 0.0, 1.0)]
    return tf.reshape(tf.stack(values), [3, 3])


def _flip(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    is_flipped = tf.reshape(transformation["flips"], [])

    def scale_and_offset(direction: str) -> tuple[Tensor, Tensor]:
        is_reversed = is_flipped & (direction in layer.mode)
        return tf.where(is_reversed, -1.0, 1.0), tf.where(is_reversed, last, 0.0)

    (x, right), (y, bottom) = scale_and_offset("horizontal"), scale_and_offset("vertical")
    return _affine(x, 0.0, right, 0.0, y, bottom)


def _rotation(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    values = tf.reshape(transformation["rotation_matrix"], [8])
    return tf.reshape(tf.concat([values, [1.0]], 0), [3, 3])


def _zoom(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    wide, high = tf.reshape(transformation["width_zoom"], []), tf.reshape(transformation["height_zoom"], [])
    return _affine(wide, 0.0, last / 2 * (1 - wide), 0.0, high, last / 2 * (1 - high))


def _translation(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    right, down = tf.unstack(tf.reshape(transformation["translations"], [2]))
    return _affine(1.0, 0.0, -right, 0.0, 1.0, -down)


def _shear(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    x, y = tf.unstack(tf.reshape(transformation["shear_factor"], [2]))
    return _affine(1.0, x, 0.0, y, 1.0, 0.0)


def _perspective(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    points = transformation["start_points"], transformation["end_points"]
    values = tf.reshape(layer.backend.image.compute_homography_matrix(*points), [8])
    is_applied = tf.reshape(transformation["apply_perspective"], [])
    return tf.where(is_applied, tf.reshape(tf.concat([values, [1.0]], 0), [3, 3]), tf.eye(3))


def _crop(layer: keras.layers.Layer, transformation: Mapping[str, Tensor], last: float) -> Tensor:
    width, height = transformation["width"], transformation["height"]

    def first(scale: Tensor, start: Tensor) -> Tensor:
        # Of places, which count from the middle of the first pixel; the part and the image begin at a pixel's edge.
        return start * (last + 1) + (scale - 1) / 2

    x, y = first(width, transformation["left"]), first(height, transformation["top"])
    return _affine(width, 0.0, x, 0.0, height, y)


# Layer -> its matrix. A test compares each of Keras' with what the layer itself does.
MATRICES: dict[str, Matrix] = {
    "RandomFlip": _flip,
    "RandomRotation": _rotation,
    "RandomZoom": _zoom,
    "RandomTranslation": _translation,
    "RandomShear": _shear,
    "RandomPerspective": _perspective,
    "RandomResizedCrop": _crop,
}
