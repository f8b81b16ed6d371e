"""Makes small pictures of images and puts them into the page itself, as data addresses."""

from __future__ import annotations

import base64
import hashlib
import io
import warnings
from typing import TYPE_CHECKING

from pipelines.images.readable import UnreadableImage, read_file

if TYPE_CHECKING:
    from PIL.Image import Image

    from pipelines.runs.examples import Example

SIDE = 168  # pixels, of the longer side: 4 to 5 kB each
QUALITY = 70


def thumbnail(example: Example) -> str | None:
    """A small upright WebP of an image as a `data:` address; None where the file is gone, changed or unreadable.

    Args:
        example: of a run; the content of its file has to be what the run was trained on.
    """
    image = shrink(example)
    if image is None:
        return None
    stream = io.BytesIO()
    image.save(stream, "WEBP", quality=QUALITY)
    return as_address(stream.getvalue(), "image/webp")


def shrink(example: Example) -> Image | None:
    """A small upright copy of an image in RGB; None where the file is gone, changed or unreadable.

    Args:
        example: of a run or an evaluation; the content of its file has to be what was predicted.
    """
    try:
        content = read_file(example.path)
        if hashlib.sha256(content).hexdigest() != example.sha256:
            return None
        # What TensorFlow decodes: a lossless copy where it does not read the format itself.
        return _shrunk(content if example.source == example.path else read_file(example.source))
    except UnreadableImage:
        return None


def _shrunk(content: bytes) -> Image | None:
    from PIL import Image, ImageOps

    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            image = Image.open(io.BytesIO(content))
            image.draft("RGB", (2 * SIDE, 2 * SIDE))
            upright = ImageOps.exif_transpose(image).convert("RGB")
    except Exception:  # Pillow raises whatever a decoder meets; a missing picture is no reason for a missing page
        return None
    upright.thumbnail((SIDE, SIDE))
    return upright


def as_address(content: bytes, media_type: str) -> str:
    """A `data:` address that holds a file."""
    return f"data:{media_type};base64,{base64.b64encode(content).decode('ascii')}"
