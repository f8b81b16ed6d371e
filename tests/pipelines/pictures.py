"""Images drawn by the tests, and their pixels as Pillow reads them."""

from __future__ import annotations

import io
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps


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
