"""Noise images as examples, a tiny frozen base, and a reporter that keeps its notes."""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from models.arrays import FeatureRows
from pipelines.features.cached import BaseKey
from pipelines.runs.examples import Example
from pipelines.system.progress import Silent

if TYPE_CHECKING:
    import keras

SIDE = 12
KEY = BaseKey(backbone="tiny", weights_sha256="7" * 64, image_size=SIDE, pooling="avg", decode_version=1)


class Notes(Silent):
    """Keeps the notes and warnings."""

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.lines.append(text)


def draw_examples(folder: Path, count: int, *, seed: int = 0) -> list[Example]:
    """Noise images of the side that the base takes, in three classes."""
    folder.mkdir(parents=True, exist_ok=True)
    rng = np.random.default_rng(seed)
    examples = []
    for number in range(count):
        path = folder / f"{number:03d}.png"
        Image.fromarray(rng.integers(0, 256, (SIDE, SIDE, 3), np.uint8)).save(path)
        sha256 = hashlib.sha256(path.read_bytes()).hexdigest()
        examples.append(Example(path=str(path), label=number % 3, split="train", sha256=sha256, source=str(path)))
    return examples


def tiny_base() -> keras.Model:
    """Pixels -> the mean of each colour: features that need no network to be known."""
    import keras

    pixels = keras.Input((SIDE, SIDE, 3))
    return keras.Model(pixels, keras.layers.GlobalAveragePooling2D()(keras.layers.Rescaling(1 / 255)(pixels)))


def mean_colours(examples: list[Example]) -> FeatureRows:
    """The features that the tiny base gives, by numpy and Pillow."""
    pixels = np.stack([np.asarray(Image.open(example.path), np.float64) for example in examples])
    return (pixels.mean((1, 2)) / 255).astype(np.float32)
