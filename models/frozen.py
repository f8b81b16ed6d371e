"""A frozen base compiled to run fast. STAND-IN until the engines land: plain Keras and constants frozen in float32."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenBase:
    """A compiled base: pixels (batch, size, size, 3) in [0, 255] -> features (batch, features) float32."""

    engine: str
    precision: str
    report: dict[str, Any]
    lines: tuple[str, ...]
    batch: int
    run: Any = field(repr=False)

    def __call__(self, pixels: Any) -> NDArray[np.float32]:
        return np.asarray(self.run(tf.cast(pixels, tf.float32)), np.float32)


def compile_base(
    model: keras.Model,
    *,
    engine: str = "auto",
    sample: NDArray[np.float32],
    num_images: int | None = None,
    choice_file: Path | None = None,
) -> FrozenBase:
    """Compile a frozen base."""
    run = tf.function(lambda pixels: model(pixels, training=False), reduce_retracing=True)
    return FrozenBase(engine="keras", precision="float32", report={}, lines=(), batch=32, run=run)
