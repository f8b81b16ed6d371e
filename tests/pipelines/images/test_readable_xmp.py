"""Orientation in XMP: a file is turned as Pillow turns it, and EXIF goes before XMP."""

from __future__ import annotations

import itertools
from typing import Any

import numpy as np
import pytest
from PIL.PngImagePlugin import PngInfo

from pipelines.images.decode import decode
from pipelines.images.readable import readable_content
from tests.pipelines.pictures import drawn, exif, pillow_pixels, saved, xmp


def _with_metadata(form: str, tiff: bytes | None, text: bytes | None) -> bytes:
    """An image with EXIF, XMP or both."""
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
    if form == "WEBP":
        options["lossless"] = True
    if tiff is not None:
        options["exif"] = tiff if form == "PNG" else b"Exif\0\0" + tiff
    if text is not None and form == "PNG":
        options["pnginfo"] = PngInfo()
        options["pnginfo"].add_itxt("XML:com.adobe.xmp", text.decode())
    elif text is not None:
        options["xmp"] = text
    return saved(drawn(), form, **options)


@pytest.mark.parametrize("is_attribute", [True, False])
@pytest.mark.parametrize(("form", "code"), list(itertools.product(("JPEG", "PNG", "WEBP"), range(1, 9))))
def test_xmp_alone_turns_an_image_as_in_pillow(form: str, code: int, is_attribute: bool) -> None:
    data = _with_metadata(form, None, xmp(code, is_attribute=is_attribute))
    readable = readable_content(data)
    assert (readable is data) == (code == 1)
    expected, pixels = pillow_pixels(data), decode(readable).numpy()
    assert pixels.shape == expected.shape == ((61, 97, 3) if code < 5 else (97, 61, 3))
    assert np.abs(pixels.astype(int) - expected).mean() <= (0.5 if form == "JPEG" else 0)


# EXIF whose one entry is not the orientation.
ANOTHER_ENTRY = exif(6)[:8] + (1).to_bytes(2, "little") + exif(6)[10:22] + b"\0\0\0\0"
METADATA = {
    "EXIF before XMP": (exif(3), xmp(6)),
    "upright EXIF before XMP": (exif(1), xmp(6)),
    "an impossible code in EXIF before XMP": (exif(9), xmp(6)),
    "EXIF without orientation": (ANOTHER_ENTRY, xmp(6)),
    "an impossible code in XMP": (None, xmp(9)),
    "code 0 in XMP": (None, xmp(0)),
    "XMP without orientation": (None, b"<x about='tiff:Orientation'/>"),
    "XMP that ends in the word": (None, b"<x tiff:Orientation"),
    "XMP that ends before the digit": (None, b'<x tiff:Orientation="'),
    "long XMP": (None, b"<x>" + b"y" * 60_000 + xmp(8)),
    "long XMP behind EXIF": (ANOTHER_ENTRY, b"<x>" + b"y" * 60_000 + xmp(8)),
}


@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP"])
@pytest.mark.parametrize("name", METADATA)
def test_exif_and_xmp_count_as_in_pillow(name: str, form: str) -> None:
    data = _with_metadata(form, *METADATA[name])
    expected, pixels = pillow_pixels(data), decode(readable_content(data)).numpy()
    assert pixels.shape == expected.shape
    assert np.abs(pixels.astype(int) - expected).mean() <= (0.5 if form == "JPEG" else 0)


def test_a_photo_with_orientation_in_both_is_passed_through() -> None:
    data = _with_metadata("JPEG", exif(6), xmp(6))
    assert readable_content(data) is data
