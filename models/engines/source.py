"""The frozen base that engines are built from, traced once."""

from __future__ import annotations

from collections.abc import Callable
from functools import cached_property
from typing import TYPE_CHECKING, Any, TypeAlias

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from models.engines.graph import Graph


# (batch, height, width, 3) float32 pixels -> (batch, features) float32.
Run: TypeAlias = "Callable[[NDArray[np.float32]], NDArray[np.float32]]"


class TracedBase:
    """The base that engines are built from, and the graph that some of them share.

    Attributes:
        model: pixels (batch, height, width, 3) in [0, 255] -> features (batch, features).
        shape: (batch, height, width, 3) that a CPU engine is built for.
    """

    def __init__(self, model: keras.Model, shape: tuple[int, int, int, int]) -> None:
        self.model = model
        self.shape = shape

    @cached_property
    def traced(self) -> Any:
        """The model as a function of TensorFlow at `shape`."""
        from models.engines.graph import trace

        return trace(self.model, self.shape)

    @cached_property
    def graph(self) -> Graph:
        """The model's float32 graph, constants folded."""
        from models.engines.graph import freeze

        return freeze(self.traced)
