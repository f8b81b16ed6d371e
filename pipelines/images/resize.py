"""Bilinear resize with antialiasing to a square, as Pillow does it, fast on one core and part of exported models."""

from __future__ import annotations

from typing import Any

import tensorflow as tf

# Output lines computed together: more makes the small matrices emptier, fewer makes more of them.
BLOCK = 16
# Pixels. The banded way holds the picture in float32; beyond this TensorFlow's own operation, which does not, is taken.
LARGE = 4_000_000
Tensor = Any  # TensorFlow carries no types


def resize(image: Tensor, size: int) -> Tensor:
    """Resize a picture to a square; its sides are scaled independently and nothing is cut off.

    The filter is a triangle, as wide as the reduction, as in Pillow's `BILINEAR` and `tf.image.resize(antialias=True)`.
    An output line depends on few input lines, and neighbours on nearly the same: so each block of output
    lines is a small dense matrix times the input lines it needs. Half the time of `tf.image.resize` on one core.

    Args:
        image: (height, width, 3) uint8 or float32.
        size: side of the result, pixels.

    Returns:
        (size, size, 3) float32 in the range of `image`.
    """

    def banded() -> Tensor:
        shape = tf.shape(image)
        rows = _reduce(tf.reshape(image, [shape[0], shape[1] * 3]), size)
        columns = tf.reshape(tf.transpose(tf.reshape(rows, [size, shape[1], 3]), [1, 0, 2]), [shape[1], size * 3])
        return tf.transpose(tf.reshape(_reduce(columns, size), [size, size, 3]), [1, 0, 2])

    def whole() -> Tensor:
        return tf.image.resize(image, [size, size], method="bilinear", antialias=True)

    pixels = tf.reduce_prod(tf.cast(tf.shape(image)[:2], tf.int64))
    resized = tf.cond(pixels > LARGE, whole, banded)
    return tf.ensure_shape(resized, [size, size, 3])


def _reduce(lines: Tensor, size: int) -> Tensor:
    """Resize lines (n, m) along their first axis to (size, m)."""
    length = tf.shape(lines)[0]
    scale = tf.cast(length, tf.float32) / size
    radius = tf.maximum(scale, 1.0)
    blocks = -(-size // BLOCK)
    centres = (tf.reshape(tf.range(blocks * BLOCK, dtype=tf.float32), [blocks, BLOCK]) + 0.5) * scale
    first = tf.cast(tf.floor(centres[:, 0] - radius), tf.int32)
    width = tf.cast(tf.math.ceil(scale * (BLOCK - 1) + 2 * radius), tf.int32) + 2
    needed = first[:, tf.newaxis] + tf.range(width)
    distance = tf.abs(tf.cast(needed, tf.float32)[:, tf.newaxis] + 0.5 - centres[:, :, tf.newaxis])
    inside = ((needed >= 0) & (needed < length))[:, tf.newaxis]
    weights = tf.where(inside, tf.maximum(0.0, 1.0 - distance / radius), 0.0)
    # The last block may be longer than what is left: its surplus lines have no weights, and are cut off below.
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    taken = tf.cast(tf.gather(lines, tf.clip_by_value(needed, 0, length - 1)), tf.float32)
    reduced = tf.matmul(weights, taken)
    return tf.reshape(reduced, [blocks * BLOCK, tf.shape(lines)[1]])[:size]
