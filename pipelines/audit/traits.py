"""Measures one image file: its size, its encoding, its camera, its light, its sharpness and its colours."""

from __future__ import annotations

import io
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from pipelines.images.readable import FORMATS, eight_bits
from pipelines.images.stored_orientation import stored_orientation

if TYPE_CHECKING:
    from PIL.Image import Image

    from models.arrays import Singles

SIDE = 256  # pixels of the longer side at which light and sharpness are measured
SMALL = 32  # pixels of both sides of the square in which near duplicates are compared
BORDER = 0.05  # of each side: the frame whose colour is measured
CAMERA_TAGS = (0x010F, 0x0110, 0x0131)  # make, model, software
Rgb = tuple[float, float, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Light:
    """What the pixels of an image are like, upright and not larger than `SIDE`; grey levels in [0, 255].

    Attributes:
        darkest: level below which 5 % of the pixels are.
        lightest: level above which 5 % are.
        deviation: standard deviation of the levels.
        sharpness: standard deviation of the Laplacian divided by that of the levels; 0 for an image of one level.
        mean: mean colour.
        border: mean colour of the frame.
        small: `SMALL` x `SMALL` grey levels, row by row, for the comparison of near duplicates.
    """

    darkest: float
    lightest: float
    deviation: float
    sharpness: float
    mean: Rgb
    border: Rgb
    small: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Traits:
    """What is measured of an image file.

    Attributes:
        num_bytes: of the file.
        width: as stored, pixels.
        height: as stored, pixels.
        encoding: format, channels and, of a JPEG, how it was encoded.
        quantisation: mean step of a JPEG's first table, and of its others; 0 without one.
        camera: make, model and software in the EXIF; empty without any.
        orientation: in the EXIF, 1 to 8.
        light: of the pixels; None where Pillow does not decode them.
    """

    num_bytes: int
    width: int
    height: int
    encoding: str
    quantisation: tuple[float, float]
    camera: str
    orientation: int
    light: Light | None


def take_traits(content: bytes) -> Traits:
    """Measure an image file.

    Args:
        content: of a file that `pipelines.images.readable` reads.
    """
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # as in `readable`, which refused what is too large
    with warnings.catch_warnings(action="ignore"):
        image = Image.open(io.BytesIO(content), formats=FORMATS)
        width, height = image.size
        return Traits(
            num_bytes=len(content),
            width=width,
            height=height,
            encoding=_encoding(image),
            quantisation=_quantisation(image),
            camera=_camera(image),
            orientation=stored_orientation(image) or 1,
            light=_light(image),  # the last: it changes the image
        )


def _encoding(image: Image) -> str:
    from PIL import JpegImagePlugin

    words = [image.format or "", image.mode]
    if isinstance(image, JpegImagePlugin.JpegImageFile):
        words.append(f"sampling {JpegImagePlugin.get_sampling(image)}")
        words += ["progressive"] if image.info.get("progressive") else []
    return " ".join(words)


def _quantisation(image: Image) -> tuple[float, float]:
    tables = list(getattr(image, "quantization", {}).values())
    if not tables:
        return 0.0, 0.0
    first, *others = (float(np.mean(table)) for table in tables)
    return first, float(np.mean(others)) if others else first


def _camera(image: Image) -> str:
    from PIL import Image as pillow

    exif = pillow.Exif()
    try:
        exif.load(image.info.get("exif", b""))
        return " ".join(str(value).strip("\0 ") for tag in CAMERA_TAGS if (value := exif.get(tag)))
    except Exception:  # Pillow's reader raises errors of many types on malformed EXIF, which counts as none
        return ""


def _light(image: Image) -> Light | None:
    from PIL import Image as pillow
    from PIL import ImageOps

    try:
        image.draft("RGB", (SIDE, SIDE))
        image.load()
        upright = eight_bits(ImageOps.exif_transpose(image)).convert("RGB")
    except Exception:  # Pillow raises whatever a decoder meets; TensorFlow reads some files that it does not
        return None
    upright.thumbnail((SIDE, SIDE), pillow.Resampling.BOX, reducing_gap=2.0)
    colours = np.asarray(upright, np.float32)
    grey = np.asarray(upright.convert("L"), np.float32)
    darkest, lightest = (float(level) for level in np.percentile(grey, (5, 95)))
    deviation = float(grey.std())
    return Light(
        darkest=darkest,
        lightest=lightest,
        deviation=deviation,
        sharpness=_laplacian(grey) / deviation if deviation > 0.5 else 0.0,
        mean=_colour(colours.reshape(-1, 3)),
        border=_colour(_frame(colours)),
        small=upright.convert("L").resize((SMALL, SMALL), pillow.Resampling.BOX).tobytes(),
    )


def _laplacian(grey: Singles) -> float:
    """Standard deviation of the Laplacian; 0 for an image without an inner pixel."""
    if min(grey.shape) < 3:
        return 0.0
    inner = grey[1:-1, 1:-1]
    around = grey[:-2, 1:-1] + grey[2:, 1:-1] + grey[1:-1, :-2] + grey[1:-1, 2:]
    return float((4 * inner - around).std())


def _frame(colours: Singles) -> Singles:
    """The pixels of the frame (pixels, 3)."""
    height, width, _ = colours.shape
    top, left = max(1, round(BORDER * height)), max(1, round(BORDER * width))
    sides = (colours[:top], colours[-top:], colours[:, :left], colours[:, -left:])
    return np.concatenate([side.reshape(-1, 3) for side in sides])


def _colour(pixels: Singles) -> Rgb:
    red, green, blue = (float(level) for level in pixels.mean(0))
    return red, green, blue
