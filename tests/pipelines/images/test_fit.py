"""Squash, crop and pad against Pillow: every shape, turned by EXIF, decoded at a fraction, and extreme ones."""

from __future__ import annotations

from typing import get_args

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.images.decode import decode, decode_resized
from pipelines.images.resize import LARGE, PADDING, resize
from pipelines.runs.square import Fit
from tests.pipelines.pictures import drawn, exif, pillow_fitted, saved

FITS: tuple[Fit, ...] = get_args(Fit)
CUTTING: tuple[Fit, ...] = ("crop", "pad")
SHAPES = [(533, 400), (400, 711), (224, 224), (37, 51), (52, 37), (1, 1), (1, 900), (3000, 7), (61, 62)]


def _pillow_crop(pixels: np.ndarray, size: int) -> np.ndarray:
    """The greatest centred square of (height, width, 3) float32, resized by Pillow in floats, without rounding."""
    height, width = pixels.shape[:2]
    side = min(height, width)
    left, top = (width - side) / 2, (height - side) / 2
    channels = [Image.fromarray(np.ascontiguousarray(pixels[..., number])) for number in range(3)]
    box = (left, top, left + side, top + side)
    return np.stack(
        [np.asarray(image.resize((size, size), Image.Resampling.BILINEAR, box=box)) for image in channels], -1
    )


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("size", [1, 227])
def test_a_crop_of_floats_is_pillows(shape: tuple[int, int], size: int) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype(np.float32)
    np.testing.assert_allclose(resize(tf.constant(pixels), size, "crop"), _pillow_crop(pixels, size), atol=0.01)


@pytest.mark.parametrize("fit", CUTTING)
@pytest.mark.parametrize(("shape", "size"), [*((shape, 24) for shape in SHAPES), ((400, 711), 224), ((37, 51), 224)])
def test_pixels_are_pillows(shape: tuple[int, int], size: int, fit: Fit) -> None:
    data = saved(drawn(shape[1], shape[0]), "PNG")
    pixels = decode_resized(data, size, fit).numpy()
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.float32
    # As for squashed images: Pillow rounds to whole grey levels, twice.
    difference = np.abs(pixels - pillow_fitted(data, size, fit))
    assert difference.mean() < 0.35
    assert difference.max() < 1.6


@pytest.mark.parametrize("fit", FITS)
@pytest.mark.parametrize("code", range(1, 9))
def test_an_image_is_fitted_as_it_is_shown(code: int, fit: Fit) -> None:
    # 61 of 96 lines leave 35 to cut off or to fill up: one side has one more than the other.
    data = saved(drawn(96, 61), "PNG", exif=exif(code))
    assert np.abs(decode_resized(data, 24, fit).numpy() - pillow_fitted(data, 24, fit)).mean() < 0.35
    photo = saved(drawn(96, 61), "JPEG", quality=95, subsampling=0, exif=b"Exif\0\0" + exif(code))
    assert np.abs(decode_resized(photo, 24, fit).numpy() - pillow_fitted(photo, 24, fit)).mean() < 0.5


@pytest.mark.parametrize("fit", CUTTING)
@pytest.mark.parametrize("shape", [(375, 500), (753, 1001), (2001, 1500), (3149, 4201), (700, 4200)])
def test_a_jpeg_at_a_fraction_is_close_to_the_full_decode(shape: tuple[int, int], fit: Fit) -> None:
    height, width = shape
    grain = np.random.default_rng(0).integers(-20, 21, (height, width, 1))
    texture = np.asarray(drawn(width, height), np.int16) + grain
    data = saved(Image.fromarray(texture.clip(0, 255).astype(np.uint8)), "JPEG", quality=90)
    difference = np.abs(decode_resized(data, 96, fit).numpy() - resize(decode(data), 96, fit).numpy())
    assert difference.mean() < 0.5


@pytest.mark.parametrize("fit", CUTTING)
@pytest.mark.parametrize("shape", [(2101, 2000), (1500, 5000)])
def test_large_images_are_fitted_alike(shape: tuple[int, int], fit: Fit) -> None:
    data = saved(drawn(shape[1], shape[0]), "PNG", compress_level=1)
    assert shape[0] * shape[1] > LARGE
    difference = np.abs(decode_resized(data, 64, fit).numpy() - pillow_fitted(data, 64, fit))
    assert difference.mean() < 0.35
    assert difference.max() < 1.6


@pytest.mark.parametrize("form", ["PNG", "JPEG"])
@pytest.mark.parametrize("is_tall", [False, True])
@pytest.mark.parametrize("fit", FITS)
def test_a_line_of_5000_pixels_is_an_image(fit: Fit, is_tall: bool, form: str) -> None:
    line = np.zeros((1, 5000, 3), np.uint8)
    line[:, :2500, 0], line[:, 2500:, 1] = 200, 100
    options = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
    data = saved(Image.fromarray(np.swapaxes(line, 0, 1) if is_tall else line), form, **options)
    pixels = decode_resized(data, 224, fit).numpy()
    pixels = np.swapaxes(pixels, 0, 1) if is_tall else pixels
    left, right = np.asarray([200.0, 0, 0]), np.asarray([0, 100.0, 0])
    if fit == "crop":
        # The middle of the line is the border of the two colours: the square is half of either.
        np.testing.assert_allclose(pixels.mean((0, 1)), (left + right) / 2, atol=3)
        return
    if fit == "pad":
        borders = np.delete(pixels, 111, 0)
        assert (borders == PADDING).all()
        pixels = pixels[111:112]
    np.testing.assert_allclose(pixels[:, :111].mean((0, 1)), left, atol=3)
    np.testing.assert_allclose(pixels[:, 113:].mean((0, 1)), right, atol=3)


def test_a_square_image_is_the_same_in_every_way() -> None:
    data = saved(drawn(90, 90), "PNG")
    squashed, cropped, padded = (decode_resized(data, 24, fit).numpy() for fit in FITS)
    np.testing.assert_allclose(cropped, squashed, atol=1e-3)
    np.testing.assert_allclose(padded, squashed, atol=1e-3)


def test_each_fit_keeps_what_it_promises() -> None:
    # Black, with a white square in the middle that touches the upper and the lower edge.
    image = np.zeros((60, 120, 3), np.uint8)
    image[:, 30:90] = 255
    squashed, cropped, padded = (resize(tf.constant(image), 24, fit).numpy() for fit in FITS)
    assert (cropped[:, 1:-1] > 254).all()
    # Half as wide as high when squashed, as wide as high when padded.
    assert (squashed[:, 12] > 254).all() and (squashed[:, :5] < 1).all()
    assert (padded[7:17, 12] > 254).all() and (padded[7:17, :5] < 1).all()
    assert (padded[:6] == 127.5).all() and (padded[18:] == 127.5).all()
