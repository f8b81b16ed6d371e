"""Reads a file as bytes that TensorFlow decodes, makes a PNG of other formats, and says why a file is not an image."""

from __future__ import annotations

import io
import os
import stat
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

from models.errors import first_line
from pipelines.images.stored_orientation import hides_orientation, stored_orientation

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.images.fingerprint import RgbImage

# Part of the key of cached features and of known images: raise it whenever the pixels change.
DECODE_VERSION = 2
# As many as a mosaic of 16,384 x 16,384: 0.75 GiB in 8-bit RGB.
MAX_PIXELS = 2**28
# A larger file is a video or an archive; no camera writes images near this size.
MAX_BYTES = 2**30
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "AVIF")
# Formats that TensorFlow reads, by content, not by name. MPO is a JPEG with more images behind the first.
DIRECT = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
# A JPEG is decoded at an eighth, a quarter or a half where that leaves this many pixels on each side.
LEAST_SIDE = 64


EMPTY = "the file is empty"


class UnreadableImage(Exception):
    """A file that is not an image, or a damaged one; `reason` is a phrase without the path."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason

    @property
    def is_other_content(self) -> bool:
        """Whether the content has no mark of an image that headstart knows: text, a PDF, nothing at all."""
        return self.reason.startswith("not an image") or self.reason == EMPTY


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class DecodedContent:
    """A file's content as TensorFlow decodes it, and its pixels.

    Attributes:
        content: that of the file, the same object, or a PNG.
        pixels: as they are stored; of a large JPEG, reduced.
        orientation: of the pixels, as EXIF counts it, 1 to 8.
    """

    content: bytes
    pixels: RgbImage
    orientation: int = 1


def readable_bytes(path: str, max_pixels: int = MAX_PIXELS) -> bytes:
    """Read an image file as bytes that `pipelines.images.decode` turns into pixels.

    Raises:
        UnreadableImage: as `read_file` and `readable_content`.
    """
    return readable_content(read_file(path), max_pixels)


def read_file(path: str) -> bytes:
    """Read the content of a file.

    Args:
        path: bytes that are not UTF-8 as surrogates.

    Raises:
        UnreadableImage: the file cannot be opened, is empty, is not a regular file or is larger than `MAX_BYTES`.
    """
    try:
        status = os.stat(os.fsencode(path))
        # Reading a pipe or a device could wait without end.
        if not stat.S_ISREG(status.st_mode):
            raise UnreadableImage("is a directory" if stat.S_ISDIR(status.st_mode) else "not a regular file")
        if status.st_size > MAX_BYTES:
            raise UnreadableImage(f"{status.st_size / 2**30:.1f} GiB is more than any image has")
        with open(os.fsencode(path), "rb") as stream:
            content = stream.read()
    except OSError as error:
        raise UnreadableImage((error.strerror or type(error).__name__).lower()) from error
    if not content:
        raise UnreadableImage(EMPTY)
    return content


def readable_content(content: bytes, max_pixels: int = MAX_PIXELS) -> bytes:
    """A file's content as TensorFlow decodes it: itself (the same object) or a PNG, as in `decode_content`.

    Raises:
        UnreadableImage: it is not an image, is damaged or is too large.
    """
    return decode_content(content, max_pixels).content


def decode_content(content: bytes, max_pixels: int = MAX_PIXELS) -> DecodedContent:
    """Decode a file's content once to check it, and turn formats that TensorFlow does not read into PNG.

    Those are TIFF, some BMP, animated WebP, JPEG with arithmetic coding and the like, and files whose pixels `decode`
    would give otherwise than a viewer: GIF with transparency or a first frame of another size than the image, and
    files with an orientation where `orientation` does not look, such as XMP. The PNG is upright 8-bit RGB, of the
    first page or frame; 16 bits a channel are scaled, not clipped; the colour of transparent places is the one that
    the file stores.

    Args:
        content: of a file.
        max_pixels: an image whose header gives more pixels is refused before it is decoded.

    Raises:
        UnreadableImage: it is not an image, is damaged or is too large.
    """
    image = _open(content)
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {max_pixels:,}")
    pixels = _decode(content, min(width, height)) if image.format in DIRECT or _is_plain_bmp(content) else None
    if pixels is not None and not _differs(image, content):
        return DecodedContent(content=content, pixels=pixels, orientation=stored_orientation(image) or 1)
    return _as_png(image)


def _open(data: bytes) -> Image:
    """Open an image by its header; its pixels are not read."""
    from PIL import Image as pillow
    from PIL import UnidentifiedImageError

    # Pillow's check warns or raises by a global; the caller's limit on the same header replaces it.
    pillow.MAX_IMAGE_PIXELS = None
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return pillow.open(io.BytesIO(data), formats=FORMATS)
    except UnidentifiedImageError as error:
        raise UnreadableImage(_describe(data)) from error
    except Exception as error:  # Pillow's readers raise errors of many types on a damaged header
        raise UnreadableImage(f"the header is damaged: {first_line(error)}") from error


def _is_plain_bmp(data: bytes) -> bool:
    """A BMP of 24 bits a pixel, uncompressed; TensorFlow misreads the others, most without an error."""
    return data.startswith(b"BM") and data[28:34] == b"\x18\x00\x00\x00\x00\x00"


def _decode(data: bytes, side: int) -> RgbImage | None:
    """The pixels that TensorFlow decodes, of a large JPEG reduced; None where it raises an error.

    Args:
        data: a file's content.
        side: the shorter one of the image, pixels.
    """
    import tensorflow as tf

    try:
        if data.startswith(b"\xff\xd8\xff"):
            # The whole file is read at any ratio, so that a truncated one is found.
            ratio = next((ratio for ratio in (8, 4, 2) if side >= ratio * LEAST_SIDE), 1)
            decoded = tf.io.decode_jpeg(data, channels=3, ratio=ratio)
        else:
            # As `decode` without the orientation, which raises nothing and is slow outside a graph.
            decoded = tf.ensure_shape(tf.io.decode_image(data, channels=3, expand_animations=False), [None, None, 3])
    except tf.errors.OpError:
        return None
    pixels: RgbImage = decoded.numpy()
    return pixels


def _differs(image: Image, content: bytes) -> bool:
    """Whether `decode` gives an image that it reads without an error other pixels than a viewer shows.

    Of a GIF whose first frame is not as large as the image, TensorFlow gives another size; transparent places it makes
    black.
    """
    from PIL.GifImagePlugin import GifImageFile

    if isinstance(image, GifImageFile):
        return "transparency" in image.info or image.tile[0].extents != (0, 0, *image.size)
    return hides_orientation(image, content)


def _as_png(image: Image) -> DecodedContent:
    """Encode the first frame as an upright 8-bit RGB PNG."""
    import numpy as np
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            upright = eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except UnreadableImage:
        raise
    except Exception as error:  # as above, on damaged pixels
        raise UnreadableImage(f"the image is damaged: {first_line(error)}") from error
    buffer = io.BytesIO()
    upright.save(buffer, "PNG", compress_level=1)
    return DecodedContent(content=buffer.getvalue(), pixels=np.asarray(upright))


def eight_bits(image: Image) -> Image:
    """Scale 16 bits a channel to 8; other modes are left to Pillow's conversion.

    Raises:
        UnreadableImage: 32 bits a channel, whose range is not known.
    """
    import numpy as np
    from PIL import Image as pillow

    if image.mode.startswith("I;16"):
        # Pillow's convert would clip everything above 255 to white.
        return pillow.fromarray((np.asarray(image).astype(np.uint16) >> 8).astype(np.uint8))
    if image.mode in ("I", "F"):
        raise UnreadableImage("32 bits a channel, whose white level is not known")
    return image


def _describe(data: bytes) -> str:
    """What a file that is not an image is, by its first bytes."""
    beginning = data[:256].lstrip().lower()
    if beginning.startswith((b"<!doctype html", b"<html")):
        return "not an image but a web page"
    if beginning.startswith((b"<svg", b"<?xml")):
        return "not an image of pixels but XML or SVG"
    if beginning.startswith(b"%pdf"):
        return "not an image but a PDF"
    if all(32 <= byte < 127 or byte in b"\t\r\n" for byte in data[:256]):
        return "not an image but text"
    return "not an image in a format that headstart reads, or its header is damaged"
