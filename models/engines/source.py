"""Traces and freezes a frozen base once for all engines that are built from it."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    import keras

    from models.arrays import FeatureRows, Pixels
    from models.engines.graph import Graph, Traced

# Pixels (batch, height, width, 3) -> features (batch, features).
Run: TypeAlias = "Callable[[Pixels], FeatureRows]"


class TracedBase:
    """A frozen base, and the graphs of it that several engines share.

    Attributes:
        model: pixels (batch, height, width, 3) in [0, 255] -> features (batch, features).
        shape: (batch, height, width, 3) of the pixels that a CPU engine is built for.
    """

    def __init__(self, model: keras.Model, shape: tuple[int, int, int, int]) -> None:
        self.model = model
        self.shape = shape

    @cached_property
    def traced(self) -> Traced:
        """The model as a TensorFlow function at `shape`."""
        from models.engines.graph import trace

        return trace(self.model, self.shape)

    @cached_property
    def graph(self) -> Graph:
        """The model's float32 graph, its affine operations folded."""
        from models.engines.graph import freeze

        return freeze(self.traced)
