"""Reads the orientation that a file stores, with Pillow, and tells where `pipelines.images.exif` would miss it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from PIL.Image import Image

# Of EXIF; `pipelines.images.exif`, which has it too, imports TensorFlow.
ORIENTATION_TAG = 0x0112


def stored_orientation(image: Image) -> int | None:
    """The orientation in the EXIF before the pixels, as EXIF counts it; None without one, 1 in malformed EXIF."""
    from PIL import Image as pillow

    exif = pillow.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        orientation = exif.get(ORIENTATION_TAG)
    except Exception:  # Pillow's reader raises errors of many types on malformed EXIF, which counts as upright
        return 1
    return orientation if orientation is None or isinstance(orientation, int) else 1


def hides_orientation(image: Image, content: bytes) -> bool:
    """Whether an image is turned by an orientation that is not in the EXIF before its pixels, such as one in XMP.

    Args:
        image: opened by its header.
        content: of its file.
    """
    is_in_xmp = b"tiff:Orientation" in (image.info.get("xmp") or b"")
    if not is_in_xmp and not (image.format == "PNG" and _may_hide_orientation(content)):
        return False
    try:
        # For a PNG this decodes the pixels, to read what follows them.
        return stored_orientation(image) is None and bool(image.getexif().get(ORIENTATION_TAG, 1) != 1)
    except Exception:  # as above
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
