"""A fingerprint holds the edges of an image, and stays nearly the same when the image is stored otherwise."""

from __future__ import annotations

import io
from collections.abc import Callable

import numpy as np
import pytest
from PIL import Image, ImageEnhance, ImageOps

from models.arrays import Doubles
from pipelines.images.fingerprint import CELLS, LENGTH, fingerprint
from pipelines.images.readable import decode_content
from tests.pipelines.pictures import drawn, exif, saved

RIGHT, LEFT, DOWN, UP = range(4)  # what an edge brightens towards


def cells_of(image: Image.Image) -> Doubles:
    """(CELLS, CELLS, 4) the values of a fingerprint."""
    taken = fingerprint(np.asarray(image.convert("RGB")))
    assert len(taken) == LENGTH
    return np.frombuffer(taken, np.uint8).reshape(CELLS, CELLS, 4).astype(np.float64)


def cosine(first: bytes, second: bytes) -> float:
    values, others = (np.frombuffer(taken, np.uint8).astype(float) for taken in (first, second))
    return float(values @ others / np.linalg.norm(values) / np.linalg.norm(others))


@pytest.mark.parametrize(("turns", "direction"), [(0, RIGHT), (1, UP), (2, LEFT), (3, DOWN)])
def test_a_ramp_has_edges_in_the_direction_that_it_brightens_in(turns: int, direction: int) -> None:
    # 64 pixels, each 4 levels brighter than the one to its left: everywhere the same edge.
    ramp = np.rot90(np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1)), turns)
    cells = cells_of(Image.fromarray(ramp))
    assert (cells[1:-1, 1:-1, direction] == 255).all()
    assert np.delete(cells, direction, axis=-1).max() == 0


def test_cells_hold_the_root_of_mean_differences_of_equal_areas() -> None:
    image = drawn(131, 77, seed=3)
    grey = np.asarray(image, np.float64) @ [0.299, 0.587, 0.114]
    # Means over 32 x 32 equal areas, each pixel counted by its share: every pixel is cut in 32 x 32 first.
    fine = np.repeat(np.repeat(grey, 32, axis=0), 32, axis=1)
    reduced = fine.reshape(32, grey.shape[0], 32, grey.shape[1]).mean((1, 3))
    expected = np.zeros((CELLS, CELLS, 4))
    for row in range(31):
        for column in range(31):
            right = reduced[row, column + 1] - reduced[row, column]
            down = reduced[row + 1, column] - reduced[row, column]
            for direction, value in ((RIGHT, right), (LEFT, -right), (DOWN, down), (UP, -down)):
                expected[row // 4, column // 4, direction] += max(value, 0)
    expected = 255 * np.sqrt(expected / expected.max())
    # Pillow, which reduces the image, counts whole pixels.
    assert np.abs(cells_of(image) - expected).mean() < 4
    assert np.corrcoef(cells_of(image).ravel(), expected.ravel())[0, 1] > 0.995


def test_an_image_without_edges_has_none() -> None:
    assert fingerprint(np.full((50, 40, 3), 200, np.uint8)) == bytes(LENGTH)
    assert fingerprint(np.zeros((1, 1, 3), np.uint8)) == bytes(LENGTH)


def jpeg(image: Image.Image) -> Image.Image:
    return Image.open(io.BytesIO(saved(image, "JPEG", quality=40)))


@pytest.mark.parametrize(
    "change",
    [
        jpeg,
        lambda image: image.resize((image.width // 3, image.height // 3), Image.Resampling.LANCZOS),
        lambda image: ImageEnhance.Brightness(image).enhance(0.7),
        lambda image: image.convert("L"),
        lambda image: image.crop((0, 0, int(0.98 * image.width), int(0.98 * image.height))),
    ],
    ids=["recompressed", "reduced", "darker", "grey", "cropped"],
)
def test_an_image_that_is_stored_otherwise_hardly_changes(change: Callable[[Image.Image], Image.Image]) -> None:
    for seed in range(5):
        image = drawn(640, 480, seed=seed)
        taken = fingerprint(np.asarray(image))
        assert cosine(taken, fingerprint(np.asarray(change(image).convert("RGB")))) > 0.96
        assert cosine(taken, fingerprint(np.asarray(drawn(640, 480, seed=seed + 5)))) < 0.95


@pytest.mark.parametrize("code", range(1, 9))
def test_a_stored_orientation_is_turned_upright(code: int) -> None:
    data = saved(drawn(90, 60), "JPEG", quality=95, exif=b"Exif\0\0" + exif(code))
    upright = ImageOps.exif_transpose(Image.open(io.BytesIO(data))).convert("RGB")
    decoded = decode_content(data)
    assert decoded.orientation == code and decoded.content is data
    expected = fingerprint(np.asarray(upright))
    # TensorFlow's transform of a JPEG is a grey level off Pillow's.
    assert cosine(fingerprint(decoded.pixels, code), expected) > 0.995
    assert max(cosine(fingerprint(decoded.pixels, other), expected) for other in range(1, 9) if other != code) < 0.9


@pytest.mark.parametrize("form", ["JPEG", "PNG", "TIFF", "GIF", "WEBP", "BMP"])
def test_whatever_the_format_the_pixels_are_those_of_the_image(form: str) -> None:
    image = drawn(700, 600)
    decoded = decode_content(saved(image, form))
    assert cosine(fingerprint(decoded.pixels, decoded.orientation), fingerprint(np.asarray(image))) > 0.97
    # A large JPEG is decoded reduced, which is enough.
    assert decoded.pixels.shape == ((75, 88, 3) if form == "JPEG" else (600, 700, 3))
