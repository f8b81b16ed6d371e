"""The resize: Pillow's bilinear filter with antialiasing, for every ratio of sizes."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from pipelines.images.resize import BLOCK, LARGE, resize
from tests.pipelines.pictures import drawn


def _pillow(pixels: np.ndarray, size: int) -> np.ndarray:
    """(height, width, 3) float32 resized to a square by Pillow, channel by channel in floats, without rounding."""
    channels = [Image.fromarray(np.ascontiguousarray(pixels[..., number])) for number in range(3)]
    resized = [image.resize((size, size), Image.Resampling.BILINEAR, reducing_gap=None) for image in channels]
    return np.stack([np.asarray(image) for image in resized], -1)


@pytest.mark.parametrize("shape", [(533, 400), (37, 51), (1, 1), (1, 900), (3000, 7), (BLOCK, BLOCK + 1)])
@pytest.mark.parametrize("size", [1, BLOCK - 1, BLOCK, 3 * BLOCK + 1, 227])
def test_floats_are_resized_as_pillow_resizes_them(shape: tuple[int, int], size: int) -> None:
    pixels = np.random.default_rng(0).uniform(0, 255, (*shape, 3)).astype(np.float32)
    resized = resize(tf.constant(pixels), size).numpy()
    assert resized.dtype == np.float32
    np.testing.assert_allclose(resized, _pillow(pixels, size), atol=0.01)


def test_the_range_of_the_image_is_kept() -> None:
    checkerboard = np.indices((90, 70)).sum(0) % 2 * np.ones((3, 1, 1))
    pixels = np.moveaxis(checkerboard, 0, -1).astype(np.float32)
    resized = resize(tf.constant(pixels), 200).numpy()
    assert resized.min() >= -1e-6 and resized.max() <= 1 + 1e-6
    np.testing.assert_allclose(resize(tf.fill([90, 70, 3], 7.0), 200), 7, atol=1e-5)


def test_both_ways_to_resize_agree() -> None:
    image = np.asarray(drawn(2100, 2000))
    assert image.shape[0] * image.shape[1] > LARGE
    np.testing.assert_allclose(
        resize(tf.constant(image), 64), tf.image.resize(image[:, :, :], [64, 64], antialias=True), atol=1e-2
    )
    small = image[:600, :900]
    np.testing.assert_allclose(
        resize(tf.constant(small), 224), tf.image.resize(small, [224, 224], antialias=True), atol=1e-2
    )
