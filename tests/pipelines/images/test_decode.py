"""The decode against Pillow: every format, every orientation, and with the resize."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.images.decode import decode, decode_resized
from pipelines.images.exif import orientation
from pipelines.images.resize import resize
from tests.pipelines.pictures import drawn, exif, pillow_pixels, pillow_resized, saved

in_graph = tf.function(decode, input_signature=[tf.TensorSpec([], tf.string)])
which_way = tf.function(orientation, input_signature=[tf.TensorSpec([], tf.string)])
CLOTHING = Path(__file__).parents[3].parent / "shared" / "data" / "clothing"


def _rgba() -> Image.Image:
    image = drawn().convert("RGBA")
    image.putalpha(Image.fromarray(np.tile(np.arange(97, dtype=np.uint8) * 2, (61, 1))))
    return image


FORMATS = {
    "jpeg": saved(drawn(), "JPEG", quality=95),
    "jpeg progressive": saved(drawn(), "JPEG", quality=95, progressive=True),
    "jpeg 4:4:4": saved(drawn(), "JPEG", quality=95, subsampling=0),
    "jpeg grey": saved(drawn().convert("L"), "JPEG", quality=95),
    "jpeg cmyk": saved(drawn().convert("CMYK"), "JPEG", quality=95),
    "png": saved(drawn(), "PNG"),
    "png grey": saved(drawn().convert("L"), "PNG"),
    "png grey alpha": saved(_rgba().convert("LA"), "PNG"),
    "png alpha": saved(_rgba(), "PNG"),
    "png palette": saved(drawn().quantize(17), "PNG"),
    "png 1 bit": saved(drawn().convert("1"), "PNG"),
    "png palette transparent": saved(drawn().quantize(17), "PNG", transparency=3),
    "gif": saved(drawn(), "GIF"),
    "gif animated": saved(drawn(), "GIF", save_all=True, append_images=[drawn(seed=1), drawn(seed=2)]),
    "webp": saved(drawn(), "WEBP", quality=95),
    "webp lossless": saved(drawn(), "WEBP", lossless=True),
    "webp alpha": saved(_rgba(), "WEBP", lossless=True, exact=True),
    "bmp": saved(drawn(), "BMP"),
}


@pytest.mark.parametrize("name", FORMATS)
def test_pixels_are_pillows(name: str) -> None:
    pixels, expected = in_graph(FORMATS[name]).numpy(), pillow_pixels(FORMATS[name])
    assert pixels.dtype == np.uint8
    assert pixels.shape == expected.shape == (61, 97, 3)
    # Lossless formats exactly; JPEG's and WebP's chroma is interpolated by each library in its own way.
    lossless = not name.startswith("jpeg") and name != "webp"
    assert np.abs(pixels.astype(int) - expected).mean() <= (0 if lossless else 0.5)


def test_sixteen_bits_are_scaled() -> None:
    values = np.linspace(0, 65535, 61 * 97).reshape(61, 97).astype(np.uint16)
    pixels = in_graph(saved(Image.fromarray(values), "PNG")).numpy()
    np.testing.assert_allclose(pixels[..., 0], values / 257, atol=1)
    np.testing.assert_array_equal(pixels[..., 0], pixels[..., 2])


def test_an_animation_with_a_partial_first_frame_is_read() -> None:
    data = saved(drawn().quantize(8), "GIF", save_all=True, append_images=[drawn(seed=1).quantize(8)], disposal=2)
    np.testing.assert_array_equal(in_graph(data).numpy(), pillow_pixels(data))


@pytest.mark.parametrize(
    ("form", "little", "code"), list(itertools.product(("JPEG", "PNG", "WEBP"), (True, False), range(1, 9)))
)
def test_orientation_is_applied(form: str, little: bool, code: int) -> None:
    options: dict[str, Any] = {"quality": 95, "subsampling": 0} if form == "JPEG" else {}
    if form == "WEBP":
        options["lossless"] = True
    prefix = b"" if form == "PNG" else b"Exif\0\0"
    data = saved(drawn(), form, exif=prefix + exif(code, little), **options)
    assert int(which_way(data)) == code
    expected = pillow_pixels(data)
    pixels = in_graph(data).numpy()
    assert pixels.shape == expected.shape == ((61, 97, 3) if code < 5 else (97, 61, 3))
    assert np.abs(pixels.astype(int) - expected).mean() <= (0.5 if form == "JPEG" else 0)
    assert np.abs(decode_resized(data, 24).numpy() - pillow_resized(data, 24)).mean() < 0.35


@pytest.mark.parametrize("shape", [(533, 400), (400, 711), (224, 224), (37, 51), (1, 1), (1, 900), (3000, 7)])
@pytest.mark.parametrize("size", [24, 224, 227])
def test_resize_is_pillows(shape: tuple[int, int], size: int) -> None:
    data = saved(drawn(shape[1], shape[0]), "PNG")
    pixels = decode_resized(data, size).numpy()
    assert pixels.shape == (size, size, 3)
    assert pixels.dtype == np.float32
    assert pixels.min() >= 0 and pixels.max() <= 255.001
    # Pillow rounds to whole grey levels, twice: a quarter of a level is as near as one can come.
    difference = np.abs(pixels - pillow_resized(data, size))
    assert difference.mean() < 0.35
    assert difference.max() < 1.6


@pytest.mark.parametrize("width", [500, 1000, 2000, 4200])
def test_jpeg_at_a_fraction_is_close_to_the_full_decode(width: int) -> None:
    random = np.random.default_rng(0)
    texture = np.asarray(drawn(width, width * 3 // 4), np.int16)
    grain = random.integers(-20, 21, (width // 4 * 3, width, 1))
    data = saved(Image.fromarray((texture + grain).clip(0, 255).astype(np.uint8)), "JPEG", quality=90)
    difference = np.abs(decode_resized(data, 96).numpy() - resize(decode(data), 96).numpy())
    assert difference.mean() < 0.5


@pytest.mark.skipif(not CLOTHING.is_dir(), reason="needs ../shared/data/clothing")
def test_real_photos_against_pillow() -> None:
    files = sorted((CLOTHING / "test" / "dress").glob("*.jpg"))[:8]
    photos = [file.read_bytes() for file in files]
    assert np.mean([_difference(photo, 224) for photo in photos]) < 0.3
    # 400 pixels wide: at 66 the decoder works at half size. These were made small before, so that they are sharp to the
    # last pixel, which is the worst case; photos from a camera come nearer.
    assert np.mean([_difference(photo, 66) for photo in photos]) < 0.7


def _difference(data: bytes, size: int) -> float:
    return float(np.abs(decode_resized(data, size).numpy() - pillow_resized(data, size)).mean())


@pytest.mark.parametrize("size", [24, None])
def test_an_animated_webp_is_refused_not_a_crash(size: int | None) -> None:
    data = saved(drawn(), "WEBP", lossless=True, save_all=True, append_images=[drawn(seed=1)])
    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(data) if size is None else decode_resized(data, size)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"hello",
        b"\xff\xd8\xff",
        FORMATS["jpeg"][:400],
        FORMATS["png"][:200],
        FORMATS["webp"][:100],
        b"<html></html>",
    ],
)
def test_bytes_that_are_not_an_image_raise(data: bytes) -> None:
    with pytest.raises(tf.errors.InvalidArgumentError):
        in_graph(data)
    with pytest.raises(tf.errors.InvalidArgumentError):
        decode_resized(data, 32)
