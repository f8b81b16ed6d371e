"""What tests of networks share."""

from __future__ import annotations

import pytest


@pytest.fixture
def no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights start at zero: where only shapes and names count, drawing hundreds of millions of numbers is the cost."""
    import keras

    def zeros(self: object, shape: tuple[int, ...], dtype: object = None, **options: object) -> object:
        return keras.ops.zeros(shape, dtype=dtype)

    for name in ("VarianceScaling", "RandomUniform", "RandomNormal", "TruncatedNormal", "Orthogonal"):
        monkeypatch.setattr(getattr(keras.initializers, name), "__call__", zeros)
