"""Resizes an image to a square, bilinearly with antialiasing as Pillow does, in operations that can be exported."""

from __future__ import annotations

import tensorflow as tf

from models.arrays import Tensor
from pipelines.runs.square import Fit

# Output lines computed together: more makes the small matrices emptier, fewer makes more of them.
BLOCK = 16
# Pixels. The matrices need the image in float32; beyond this, TensorFlow's operation, which does not, resizes it.
LARGE = 4_000_000
# Grey level around an image that is padded: the middle, which is near what most networks take for zero.
PADDING = 127.5


def resize(image: Tensor, size: int, fit: Fit = "squash") -> Tensor:
    """Resize an image to a square.

    The filter is a triangle, as wide as the reduction, as in Pillow's `BILINEAR` and `tf.image.resize(antialias=True)`.

    Args:
        image: (height, width, 3) uint8 or float32.
        size: side of the result, pixels.
        fit: as in `pipelines.runs.square.Square`.

    Returns:
        (size, size, 3) float32 in the range of `image`; with `pad` its borders are `PADDING`.
    """
    scaled = scale(image, tf.shape(image)[:2], size, fit)
    return centre(scaled, size) if fit == "pad" else scaled


def scale(image: Tensor, full_shape: Tensor, size: int, fit: Fit) -> Tensor:
    """Resize an image to a square, or with `pad` to what `centre` makes a square of.

    It commutes with turning the image by quarters; `centre` does not.

    Args:
        image: (height, width, 3) uint8 or float32.
        full_shape: (2,) int32, height and width of the image before it was decoded at a fraction of its size.
        size: side of the square, pixels.
        fit: as in `pipelines.runs.square.Square`.

    Returns:
        (size, size, 3) float32; with `pad` (height, width, 3), the longer side `size` and the shorter at least 1.
    """
    shape, full = tf.cast(tf.shape(image)[:2], tf.float32), tf.cast(full_shape, tf.float32)
    if fit == "squash":
        return tf.ensure_shape(_resample(image, tf.zeros(2), shape, (size, size)), [size, size, 3])
    # At a fraction the last pixel of a line may stand for less than the others do.
    fraction = tf.round(tf.reduce_max(full) / tf.reduce_max(shape))
    if fit == "pad":
        contained = _contained_shape(full_shape, size)
        return _resample(image, tf.zeros(2), full / fraction, (contained[0], contained[1]))
    lengths = tf.repeat(tf.reduce_min(full) / fraction, 2)
    starts = (full / fraction - lengths) / 2
    # What no output pixel needs is cut off first; beside the square, the filter sees as far as its radius.
    reach = tf.maximum(lengths / size, 1.0) + 1
    first = tf.maximum(tf.floor(starts - reach), 0.0)
    end = tf.minimum(tf.math.ceil(starts + lengths + reach), shape)
    top, left, bottom, right = (tf.cast(tf.concat([first, end], 0), tf.int32)[place] for place in range(4))
    part = image[top:bottom, left:right]
    return tf.ensure_shape(_resample(part, starts - first, lengths, (size, size)), [size, size, 3])


def centre(image: Tensor, size: int) -> Tensor:
    """Centre an image (height, width, 3) float32 on a square (size, size, 3) of `PADDING`; no side is above `size`."""
    shape = tf.shape(image)
    before = (size - shape[:2]) // 2
    after = size - shape[:2] - before
    borders = tf.concat([tf.stack([before, after], 1), [[0, 0]]], 0)
    return tf.ensure_shape(tf.pad(image, borders, constant_values=PADDING), [size, size, 3])


def _contained_shape(shape: Tensor, size: int) -> Tensor:
    """Height and width (2,) int32 of an image whose longer side becomes `size`."""
    exact = tf.cast(shape, tf.float64)
    return tf.cast(tf.maximum(tf.round(exact / tf.reduce_max(exact) * size), 1.0), tf.int32)


def _resample(image: Tensor, starts: Tensor, lengths: Tensor, sides: tuple[Tensor | int, Tensor | int]) -> Tensor:
    """Resize a part of an image.

    An output line depends on few input lines, and its neighbours depend on nearly the same. So each block of output
    lines is a small dense matrix times the input lines it needs. This takes half the time of `tf.image.resize` on one
    core.

    Args:
        image: (height, width, 3) uint8 or float32.
        starts: (2,) float32, where the part begins, in pixels from the top and from the left.
        lengths: (2,) float32, its height and width.
        sides: of the result.

    Returns:
        (*sides, 3) float32.
    """
    height, width = sides

    def by_blocks() -> Tensor:
        shape = tf.shape(image)
        rows = _reduce(tf.reshape(image, [shape[0], shape[1] * 3]), height, starts[0], lengths[0])
        columns = tf.reshape(tf.transpose(tf.reshape(rows, [height, shape[1], 3]), [1, 0, 2]), [shape[1], height * 3])
        reduced = _reduce(columns, width, starts[1], lengths[1])
        return tf.transpose(tf.reshape(reduced, [width, height, 3]), [1, 0, 2])

    def by_tensorflow() -> Tensor:
        # What `tf.image.resize` calls, which always takes the whole image.
        factors = tf.cast(tf.stack([height, width]), tf.float32) / lengths
        resized = tf.raw_ops.ScaleAndTranslate(
            images=image[tf.newaxis],
            size=tf.stack([height, width]),
            scale=factors,
            translation=-starts * factors,
            kernel_type="triangle",
            antialias=True,
        )
        return resized[0]

    num_pixels = tf.reduce_prod(tf.cast(tf.shape(image)[:2], tf.int64))
    return tf.cond(num_pixels > LARGE, by_tensorflow, by_blocks)


def _reduce(lines: Tensor, size: Tensor | int, start: Tensor, length: Tensor) -> Tensor:
    """Resize the lines (n, m) from `start` on, `length` of them, along their first axis to (size, m)."""
    count = tf.shape(lines)[0]
    step = length / tf.cast(size, tf.float32)
    radius = tf.maximum(step, 1.0)
    num_blocks = -(-size // BLOCK)
    outputs = tf.reshape(tf.range(num_blocks * BLOCK, dtype=tf.int32), [num_blocks, BLOCK])
    centres = start + (tf.cast(outputs, tf.float32) + 0.5) * step
    first = tf.cast(tf.floor(centres[:, 0] - radius), tf.int32)
    width = tf.cast(tf.math.ceil(step * (BLOCK - 1) + 2 * radius), tf.int32) + 2
    needed = first[:, tf.newaxis] + tf.range(width)
    distance = tf.abs(tf.cast(needed, tf.float32)[:, tf.newaxis] + 0.5 - centres[:, :, tf.newaxis])
    is_inside = ((needed >= 0) & (needed < count))[:, tf.newaxis]
    weights = tf.where(is_inside, tf.maximum(0.0, 1.0 - distance / radius), 0.0)
    # The last block may be longer than what is left: its surplus lines have no weights and are cut off below.
    weights = tf.math.divide_no_nan(weights, tf.reduce_sum(weights, axis=2, keepdims=True))
    gathered = tf.cast(tf.gather(lines, tf.clip_by_value(needed, 0, count - 1)), tf.float32)
    reduced = tf.matmul(weights, gathered)
    return tf.reshape(reduced, [num_blocks * BLOCK, tf.shape(lines)[1]])[:size]
