"""Images drawn by the tests, and their pixels as Pillow reads them."""

from __future__ import annotations

import hashlib
import io
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

from pipelines.runs.square import Fit


def sha256_of(path: Path) -> str:
    """The hash of a file's content, as an example holds it."""
    return hashlib.sha256(path.read_bytes()).hexdigest()


def drawn(width: int = 97, height: int = 61, seed: int = 0) -> Image.Image:
    """A smooth image without symmetry: gradients and a few rectangles."""
    random = np.random.default_rng(seed)
    rows, columns = np.mgrid[0:height, 0:width]
    pixels = np.stack([columns * 255 / width, rows * 255 / height, (rows + columns) * 255 / (width + height)], -1)
    for _ in range(6):
        top, left = random.integers(0, height), random.integers(0, width)
        pixels[top : top + height // 4, left : left + width // 4] = random.integers(0, 256, 3)
    return Image.fromarray(pixels.astype(np.uint8))


def saved(image: Image.Image, form: str, **options: Any) -> bytes:
    """An image as the content of a file."""
    buffer = io.BytesIO()
    image.save(buffer, form, **options)
    return buffer.getvalue()


def exif(code: int, little: bool = True) -> bytes:
    """A TIFF file with one directory of two entries, one of them the orientation."""
    order: Literal["little", "big"] = "little" if little else "big"

    def entry(tag: int, value: int) -> bytes:
        return (
            tag.to_bytes(2, order)
            + (3).to_bytes(2, order)
            + (1).to_bytes(4, order)
            + value.to_bytes(2, order)
            + b"\0\0"
        )

    head = (b"II" if little else b"MM") + (42).to_bytes(2, order) + (8).to_bytes(4, order)
    return head + (2).to_bytes(2, order) + entry(0x0106, 2) + entry(0x0112, code) + b"\0\0\0\0"


def pillow_pixels(data: bytes) -> np.ndarray:
    """Upright RGB pixels as Pillow reads them."""
    return np.asarray(ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB"))


def pillow_resized(data: bytes, size: int) -> np.ndarray:
    """The same resized to a square, bilinear, without Pillow's shortcut for large images; float32."""
    image = Image.fromarray(pillow_pixels(data))
    return np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=None), np.float32)


def pillow_fitted(data: bytes, size: int, fit: Fit) -> np.ndarray:
    """The same as a square by Pillow: squashed, cropped by `ImageOps.fit`, or resized and put on mid-grey; float32."""
    image = Image.fromarray(pillow_pixels(data))
    if fit == "squash":
        return pillow_resized(data, size)
    if fit == "crop":
        return np.asarray(ImageOps.fit(image, (size, size), Image.Resampling.BILINEAR), np.float32)
    width, height = (max(1, round(side / max(image.size) * size)) for side in image.size)
    canvas = np.full((size, size, 3), 127.5, np.float32)
    top, left = (size - height) // 2, (size - width) // 2
    resized = image.resize((width, height), Image.Resampling.BILINEAR)
    canvas[top : top + height, left : left + width] = np.asarray(resized)
    return canvas


def placed(gif: bytes, canvas: tuple[int, int], corner: tuple[int, int], *, has_local_palette: bool = False) -> bytes:
    """A GIF of one frame and a global palette, as `saved` makes it, with the frame at a corner of another canvas."""
    at = gif.index(b"\x2c\0\0\0\0" + gif[6:10])
    flags, palette = gif[10], gif[13 : 13 + 3 * 2 ** (gif[10] % 8 + 1)]
    screen = b"".join(side.to_bytes(2, "little") for side in canvas)
    frame = b"\x2c" + b"".join(side.to_bytes(2, "little") for side in corner) + gif[6:10]
    extensions, pixels = gif[13 + len(palette) : at], gif[at + 10 :]
    if has_local_palette:
        head = gif[:6] + screen + bytes([flags & 0x7F]) + gif[11:13] + extensions
        return head + frame + bytes([gif[at + 9] | 0x80 | flags % 8]) + palette + pixels
    return gif[:6] + screen + gif[10:13] + palette + extensions + frame + gif[at + 9 : at + 10] + pixels


def xmp(code: int, *, is_attribute: bool = True) -> bytes:
    """XMP with an orientation."""
    orientation = (
        f' tiff:Orientation="{code}"/>' if is_attribute else f"><tiff:Orientation>{code}</tiff:Orientation></x>"
    )
    return f'<x xmlns:tiff="http://ns.adobe.com/tiff/1.0/" about="tiff:Orientation"{orientation}'.encode()
