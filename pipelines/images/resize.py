"""Resizes an image to a square, bilinearly with antialiasing as Pillow does, in operations that can be exported."""

from __future__ import annotations

import tensorflow as tf

from models.arrays import Tensor

# Output lines computed together: more makes the small matrices emptier, fewer makes more of them.
BLOCK = 16
# Pixels. The matrices need the image in float32; beyond this, TensorFlow's operation, which does not, resizes it.
LARGE = 4_000_000


def resize(image: Tensor, size: int) -> Tensor:
    """Resize an image to a square; its sides are scaled independently and nothing is cut off.

    The filter is a triangle, as wide as the reduction, as in Pillow's `BILINEAR` and `tf.image.resize(antialias=True)`.
    An output line depends on few input lines, and its neighbours depend on nearly the same. So each block of output
    lines is a small dense matrix times the input lines it needs. This takes half the time of `tf.image.resize` on one
    core.

    Args:
        image: (height, width, 3) uint8 or float32.
        size: side of the result, pixels.

    Returns:
        (size, size, 3) float32 in the range of `image`.
    """

    def by_blocks() -> Tensor:
        shape = tf.shape(image)
        rows = _reduce(tf.reshape(image, [shape[0], shape[1] * 3]), size)
        columns = tf.reshape(tf.transpose(tf.reshape(rows, [size, shape[1], 3]), [1, 0, 2]), [shape[1], size * 3])
        return tf.transpose(tf.reshape(_reduce(columns, size), [size, size, 3]), [1, 0, 2])

    def by_tensorflow() -> Tensor:
        return tf.image.resize(image, [size, size], method="bilinear", antialias=True)

    num_pixels = tf.reduce_prod(tf.cast(tf.shape(image)[:2], tf.int64))
    resized = tf.cond(num_pixels > LARGE, by_tensorflow, by_blocks)
    return tf.ensure_shape(resized, [size, size, 3])


def _reduce(lines: Tensor, size: int) -> Tensor:
    """Resize lines (n, m) along their first axis to (size, m)."""
    length = tf.shape(lines)[0]
    scale = tf.cast(length, tf.float32) / size
    radius = tf.maximum(scale, 1.0)
    num_blocks = -(-size // BLOCK)
    centres = (tf.reshape(tf.range(num_blocks * BLOCK, dtype=tf.float32), [num_blocks, BLOCK]) + 0.5) * scale
    first = tf.cast(tf.floor(centres[:, 0] - radius), tf.int32)
    width = tf.cast(tf.math.ceil(scale * (BLOCK - 1) + 2 * radius), tf.int32) + 2
    needed = first[:, tf.newaxis] + tf.range(width)
    distance = tf.abs(tf.cast(needed, tf.float32)[:, tf.newaxis] + 0.5 - centres[:, :, tf.newaxis])
    is_inside = ((needed >= 0) & (needed < length))[:, tf.newaxis]
    weights = tf.where(is_inside, tf.maximum(0.0, 1.0 - distance / radius), 0.0)
    # The last block may be longer than what is left: its surplus lines have no weights and are cut off below.
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    gathered = tf.cast(tf.gather(lines, tf.clip_by_value(needed, 0, length - 1)), tf.float32)
    reduced = tf.matmul(weights, gathered)
    return tf.reshape(reduced, [num_blocks * BLOCK, tf.shape(lines)[1]])[:size]
