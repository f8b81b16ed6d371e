"""Reads a file as bytes that TensorFlow decodes, makes a PNG of other formats, and says why a file is not an image."""

from __future__ import annotations

import io
import os
import stat
import warnings
from typing import TYPE_CHECKING

from models.errors import first_line

if TYPE_CHECKING:
    from PIL.Image import Image

# Part of the key of cached features and of known images: raise it whenever the pixels change.
DECODE_VERSION = 2
# As many as a mosaic of 16,384 x 16,384: 0.75 GiB in 8-bit RGB.
MAX_PIXELS = 2**28
# A larger file is a video or an archive; no camera writes images near this size.
MAX_BYTES = 2**30
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "WEBP", "TIFF", "JPEG2000", "AVIF")
# Formats that TensorFlow reads, by content, not by name. MPO is a JPEG with more images behind the first.
DIRECT = ("JPEG", "MPO", "PNG", "GIF", "WEBP")
# Of EXIF; `pipelines.images.exif`, which has it too, imports TensorFlow.
ORIENTATION_TAG = 0x0112


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
    """Decode a file's content once to check it, and turn formats that TensorFlow does not read into PNG.

    Those are TIFF, some BMP, animated WebP, JPEG with arithmetic coding and the like, and files whose pixels `decode`
    would give otherwise than a viewer: GIF with transparency or a first frame of another size than the image, and
    files with an orientation where `orientation` does not look, such as XMP. The PNG is upright 8-bit RGB, of the
    first page or frame; 16 bits a channel are scaled, not clipped; the colour of transparent places is the one that
    the file stores.

    Args:
        content: of a file.
        max_pixels: an image whose header gives more pixels is refused before it is decoded.

    Returns:
        `content` itself (the same object), or a PNG.

    Raises:
        UnreadableImage: it is not an image, is damaged or is too large.
    """
    image = _open(content)
    width, height = image.size
    if width * height > max_pixels:
        raise UnreadableImage(f"{width} x {height} pixels are more than the limit of {max_pixels:,}")
    if (image.format in DIRECT or _is_plain_bmp(content)) and _decodes(content) and not _differs(image, content):
        return content
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


def _decodes(data: bytes) -> bool:
    """Whether TensorFlow decodes a file's content without an error."""
    import tensorflow as tf

    try:
        if data.startswith(b"\xff\xd8\xff"):
            # The whole file is read at any ratio, so that a truncated one is found.
            tf.io.decode_jpeg(data, channels=3, ratio=8)
        else:
            # As `decode` without the orientation, which raises nothing and is slow outside a graph.
            tf.ensure_shape(tf.io.decode_image(data, channels=3, expand_animations=False), [None, None, 3])
    except tf.errors.OpError:
        return False
    return True


def _differs(image: Image, content: bytes) -> bool:
    """Whether `decode` gives an image that it reads without an error other pixels than a viewer shows.

    Of a GIF whose first frame is not as large as the image, TensorFlow gives another size; transparent places it makes
    black.
    """
    from PIL.GifImagePlugin import GifImageFile

    if isinstance(image, GifImageFile):
        return "transparency" in image.info or image.tile[0].extents != (0, 0, *image.size)
    is_in_xmp = b"tiff:Orientation" in (image.info.get("xmp") or b"")
    if not is_in_xmp and not (image.format == "PNG" and _may_hide_orientation(content)):
        return False
    from PIL import Image as pillow

    exif = pillow.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        # For a PNG this decodes the pixels, to read what follows them.
        return ORIENTATION_TAG not in exif and bool(image.getexif().get(ORIENTATION_TAG, 1) != 1)
    except Exception:  # Pillow's reader raises errors of many types on malformed EXIF, which counts as upright
        return False


def _may_hide_orientation(png: bytes) -> bool:
    """Whether a PNG has metadata where `orientation` does not look: raw profiles, compressed XMP, behind the pixels."""
    xmp, pixels = b"XML:com.adobe.xmp\0", png.find(b"IDAT")
    return (
        b"Raw profile type exif\0" in png
        or xmp + b"\1" in png
        or png.rfind(xmp) > pixels
        or png.rfind(b"eXIf") > pixels
    )


def _as_png(image: Image) -> bytes:
    """Encode the first frame as an upright 8-bit RGB PNG."""
    from PIL import ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image.load()
            upright = _eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except UnreadableImage:
        raise
    except Exception as error:  # as above, on damaged pixels
        raise UnreadableImage(f"the image is damaged: {first_line(error)}") from error
    buffer = io.BytesIO()
    upright.save(buffer, "PNG", compress_level=1)
    return buffer.getvalue()


def _eight_bits(image: Image) -> Image:
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
