"""Images in memory make the batches that their files make."""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from pipelines.images import in_memory
from pipelines.images.batches import Draws, pixel_batches
from pipelines.images.in_memory import array_batches, decode_all, fits_in_memory
from pipelines.runs.examples import Example
from pipelines.runs.square import Square
from pipelines.system.progress import Silent

SQUARE = Square(size=12, fit="squash")


@pytest.fixture
def examples(tmp_path: Path) -> list[Example]:
    generator = np.random.default_rng(3)
    drawn = []
    for number in range(11):
        path = tmp_path / f"{number}.png"
        Image.fromarray(generator.integers(0, 256, (20, 20, 3), np.uint8)).save(path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        drawn.append(Example(path=str(path), label=number % 3, split="train", sha256=digest, source=str(path)))
    return drawn


@pytest.mark.parametrize("weights", [None, np.asarray([0.5, 1.0, 1.5], np.float32)], ids=["plain", "weighted"])
@pytest.mark.parametrize("draws", [None, Draws(epoch=0, seed=4, shuffle=True), Draws(epoch=3, seed=4, shuffle=True)])
def test_a_pass_is_that_over_the_files(
    examples: list[Example], draws: Draws | None, weights: np.ndarray | None
) -> None:
    pixels = decode_all(pixel_batches(examples, square=SQUARE, batch=5), len(examples), reporter=Silent())
    labels = np.asarray([example.label for example in examples], np.int32)
    places = [4, 1, 1, 9, 0, 7, 10]
    from_memory = array_batches(pixels, labels, places, batch=3, draws=draws, class_weights=weights)
    chosen = [examples[place] for place in places]
    from_files = pixel_batches(chosen, square=SQUARE, batch=3, draws=draws, class_weights=weights)
    pairs = list(zip(from_memory, from_files, strict=True))
    assert len(pairs) == 3
    for columns, expected in pairs:
        assert len(columns) == len(expected)
        for column, other in zip(columns, expected, strict=True):
            assert column.dtype == other.dtype
            np.testing.assert_array_equal(column, other)


def test_the_limit_is_in_bytes_of_float32_pixels(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_memory, "MOST_BYTES", 10 * 6 * 6 * 3 * 4)
    assert fits_in_memory(10, 6)
    assert not fits_in_memory(11, 6) and not fits_in_memory(10, 7)
