"""From a file to bytes that TensorFlow decodes: odd formats become PNG in memory, and what is no image says why."""

from __future__ import annotations

import io
import os
import stat
import warnings
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# Part of the key of cached features and of the ledger of decoded images: raise it whenever the pixels change.
DECODE_VERSION = 1
# As many as a 16,384 x 16,384 mosaic; 0.75 GiB of pixels.
MAX_PIXELS = 2**28
# A file beyond this is a video or an archive; no camera's image is near it.
MAX_BYTES = 2**30
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "AVIF")
# What TensorFlow reads; the content decides, not the name. MPO is a JPEG with more pictures behind the first.
DIRECT = ("JPEG", "MPO", "PNG", "GIF", "WEBP")


class UnreadableImage(Exception):
    """A file that is no image, or a damaged one; `reason` is a phrase without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def readable_bytes(path: str, max_pixels: int = MAX_PIXELS) -> bytes:
    """Read an image file as bytes that `pipelines.images.decode` turns into pixels."""
    return readable_content(read_file(path), max_pixels)


def read_file(path: str) -> bytes:
    """The content of a file; names that are no UTF-8 as surrogates.

    Raises:
        UnreadableImage: the file cannot be opened, is empty, no regular file or beyond `MAX_BYTES`.
    """
    try:
        found = os.stat(os.fsencode(path))
        # A pipe or a device would be waited for without end.
        if not stat.S_ISREG(found.st_mode):
            raise UnreadableImage("is a directory" if stat.S_ISDIR(found.st_mode) else "not a regular file")
        if found.st_size > MAX_BYTES:
            raise UnreadableImage(f"{found.st_size / 2**30:.1f} GiB are more than any image has")
        with open(os.fsencode(path), "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise UnreadableImage((error.strerror or type(error).__name__).lower()) from error
    if not content:
        raise UnreadableImage("the file is empty")
    return content


def readable_content(content: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """Make sure of a file's content: decode it once, and turn what TensorFlow does not read into a PNG.

    That is TIFF, some BMP, animated WebP, JPEG with arithmetic coding and the like: of the first page or frame comes an
    upright PNG of 8-bit RGB; 16 bits are scaled, not clipped.

    Args:
        content: of a file.
        max_pixels: more pixels than this, by the header, are refused before they are decoded.

    Returns:
        `content` itself (the same object), or a PNG.

    Raises:
        UnreadableImage: it is no image, damaged or too large.
    """
    image = _opened(content)
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {max_pixels:,}")
    if (image.format in DIRECT or _is_plain_bmp(content)) and _decodes(content):
        return content
    return _as_png(image)


def _opened(data: bytes) -> Image:
    """The header of an image; its pixels are not read."""
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    # Pillow's own check warns or raises by a global; the caller's limit on the same header replaces it.
    pillow.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pillow.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(_what(data)) from error
    except Exception as error:  # Pillow's readers raise whatever a damaged header leads them to
        raise UnreadableImage(f"the header is damaged: {_phrase(error)}") from error


def _is_plain_bmp(data: bytes) -> bool:
    """A BMP of 24 bits a pixel, uncompressed; TensorFlow misreads the others, most without an error."""
    return data.startswith(b"BM") and data[28:34] == b"\x18\x00\x00\x00\x00\x00"


def _decodes(data: bytes) -> bool:
    import tensorflow as tf

    try:
        if data.startswith(b"\xff\xd8\xff"):
            # The whole file is read at any ratio, so that a truncated one is found.
            tf.io.decode_jpeg(data, channels=3, ratio=8)
        else:
            # As `decode`, but for the orientation, which raises nothing and is slow outside a graph.
            tf.ensure_shape(tf.io.decode_image(data, channels=3, expand_animations=False), [None, None, 3])
    except tf.errors.OpError:
        return False
    return True


def _as_png(image: Image) -> bytes:
    """The first frame as an upright 8-bit RGB PNG."""
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            upright = _eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except UnreadableImage:
        raise
    except Exception as error:  # as above: there is no list of what a damaged file raises
        raise UnreadableImage(f"the image is damaged: {_phrase(error)}") from error
    buffer = io.BytesIO()
    upright.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _eight_bits(image: Image) -> Image:
    import numpy as np
    from PIL import Image as pillow

    if image.mode.startswith("I;16"):
        # Pillow's convert would clip everything above 255 to white.
        return pillow.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnreadableImage("32 bits a channel have no range that says what is white")
    return image


def _what(data: bytes) -> str:
    start = data[:256].lstrip().lower()
    if start.startswith((b"<!doctype html", b"<html")):
        return "not an image but a web page"
    if start.startswith((b"<svg", b"<?xml")):
        return "not an image of pixels but XML or SVG"
    if start.startswith(b"%pdf"):
        return "not an image but a PDF"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:256]):
        return "not an image but text"
    return "not an image in a format that is read here, or its header is damaged"


def _phrase(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return (lines[0] if lines else type(error).__name__).rstrip(".")
