"""Decodes the bytes of a file to upright RGB pixels, by the same steps in training, prediction and exported models.

The steps are TensorFlow operations alone, so that they run in parallel without Python and go into a SavedModel.
"""

from __future__ import annotations

import tensorflow as tf

from models.arrays import Tensor
from pipelines.images.exif import matches, orientation, peek, turn_upright
from pipelines.images.resize import centre, scale
from pipelines.runs.square import Fit

# A JPEG is decoded at a half, a quarter or an eighth where that leaves this many times the pixels needed on each side.
ENOUGH = 3
RATIOS = (1, 2, 4, 8)
# Orientations from this one on exchange height and width.
FIRST_TRANSPOSED = 5


def decode(image_bytes: Tensor) -> Tensor:
    """Decode an image.

    Args:
        image_bytes: scalar string, a file's content: JPEG, PNG, GIF (of an animation the first frame, which is as
            large as the image and not transparent), WebP (not animated) or BMP (24 bits a pixel); `readable_bytes`
            makes a PNG of all else. Transparency is dropped; 16 bits a channel become 8.

    Returns:
        (height, width, 3) uint8, RGB, turned upright.

    Raises:
        tf.errors.InvalidArgumentError: it is not such an image, or it is damaged.
    """
    image = tf.cond(_is_jpeg(image_bytes), lambda: _decode_jpeg(image_bytes, 1), lambda: _decode_other(image_bytes))
    return tf.ensure_shape(turn_upright(image, orientation(image_bytes)), [None, None, 3])


def decode_resized(image_bytes: Tensor, size: int, fit: Fit = "squash") -> Tensor:
    """Decode an image and resize it to a square.

    A JPEG much larger than needed is decoded at a fraction of its size, which the format makes cheap; a test holds
    the difference to the full decode below half a grey level.

    Args:
        image_bytes: as for `decode`.
        size: side of the result, pixels.
        fit: as in `pipelines.runs.square.Square`.

    Returns:
        (size, size, 3) float32 in [0, 255].

    Raises:
        tf.errors.InvalidArgumentError: it is not such an image, or it is damaged.
    """

    def other() -> tuple[Tensor, Tensor]:
        image = _decode_other(image_bytes)
        return image, tf.shape(image)[:2]

    image, full_shape = tf.cond(_is_jpeg(image_bytes), lambda: _decode_large_jpeg(image_bytes, size, fit), other)
    # Turning commutes with scaling, and here it moves fewer pixels.
    upright = turn_upright(scale(image, full_shape, size, fit), orientation(image_bytes))
    return tf.ensure_shape(centre(upright, size) if fit == "pad" else upright, [size, size, 3])


def decode_contained(image_bytes: Tensor, side: int) -> tuple[Tensor, Tensor]:
    """Decode an image and scale it, keeping its aspect ratio, until its longer side is `side` pixels: for people.

    Args:
        image_bytes: as for `decode`.
        side: of the result, pixels; a smaller image is enlarged.

    Returns:
        (height, width, 3) float32 in [0, 255], upright; and (2,) int32, height and width of the upright image itself.

    Raises:
        tf.errors.InvalidArgumentError: it is not such an image, or it is damaged.
    """

    def other() -> tuple[Tensor, Tensor]:
        image = _decode_other(image_bytes)
        return image, tf.shape(image)[:2]

    image, full_shape = tf.cond(_is_jpeg(image_bytes), lambda: _decode_large_jpeg(image_bytes, side, "pad"), other)
    turn = orientation(image_bytes)
    upright_shape = tf.where(turn >= FIRST_TRANSPOSED, tf.gather(full_shape, [1, 0]), full_shape)
    return turn_upright(scale(image, full_shape, side, "pad"), turn), upright_shape


def _is_jpeg(image_bytes: Tensor) -> Tensor:
    return tf.strings.substr(image_bytes, 0, 3) == b"\xff\xd8\xff"


def _decode_large_jpeg(image_bytes: Tensor, size: int, fit: Fit) -> tuple[Tensor, Tensor]:
    """Decode a JPEG, reduced as far as `ENOUGH` allows; with it comes its full height and width, (2,) int32."""
    full_shape = tf.io.extract_jpeg_shape(image_bytes)[:2]
    # The side that becomes `size`; of a squashed image both do.
    side = tf.reduce_max(full_shape) if fit == "pad" else tf.reduce_min(full_shape)
    largest_ratio = side // (ENOUGH * size)
    choice = sum(tf.cast(largest_ratio >= ratio, tf.int32) for ratio in RATIOS[1:])
    image = tf.switch_case(choice, [lambda ratio=ratio: _decode_jpeg(image_bytes, ratio) for ratio in RATIOS])
    return image, full_shape


def _decode_jpeg(image_bytes: Tensor, ratio: int) -> Tensor:
    # The accurate transform costs nothing measurable; TensorFlow's default is one grey level off Pillow's on average.
    return tf.io.decode_jpeg(image_bytes, channels=3, ratio=ratio, dct_method="INTEGER_ACCURATE")


def _decode_other(image_bytes: Tensor) -> Tensor:
    def decoded(channels: int) -> Tensor:
        image = tf.io.decode_image(image_bytes, channels=channels, expand_animations=False)
        return tf.ensure_shape(image[..., :3], [None, None, 3])

    return tf.cond(_is_still_webp(image_bytes), lambda: decoded(0), lambda: decoded(3))


def _is_still_webp(image_bytes: Tensor) -> Tensor:
    """Whether it is a WebP without animation: `channels=0` decodes it with as many channels as it has, three or four.

    For an animated WebP, `channels=0` makes TensorFlow 2.21 write beyond its memory and end the process. With three
    channels it raises an error instead; `readable_bytes` makes a PNG of such a file before.
    """
    head = peek(image_bytes, 8, 16)
    is_animated = matches(head[4:8], b"VP8X") & (head[12] // 2 % 2 == 1)
    return matches(head[:4], b"WEBP") & ~is_animated
