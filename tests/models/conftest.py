"""What tests of networks share."""

from __future__ import annotations

import inspect

import pytest


@pytest.fixture
def no_random_numbers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Weights start at zero: where only shapes and names count, drawing hundreds of millions of numbers is the cost."""
    import keras
    from keras.src.initializers import random_initializers

    def zeros(self: object, shape: tuple[int, ...], dtype: object = None, **options: object) -> object:
        return keras.ops.zeros(shape, dtype=dtype)

    for _, initializer in inspect.getmembers(random_initializers, inspect.isclass):
        if "__call__" in vars(initializer):
            monkeypatch.setattr(initializer, "__call__", zeros)
