"""Features of some of the examples, kept in memory while heads are fitted on them."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from pipelines.features.cached import Features

HELD_BYTES = 1 << 30  # features of a part up to this size are kept in memory while heads are fitted on them


class FeatureSubset(Features):
    """Some of the examples of other features, kept in memory where they are small enough: many fits read them."""

    def __init__(self, parent: Features, numbers: NDArray[np.int64]) -> None:
        self._parent, self._numbers = parent, numbers
        self.labels = parent.labels[numbers]
        self.num_views, self.num_features = parent.num_views, parent.num_features
        self._held: NDArray[np.float16] | None = None
        if len(numbers) * self.num_views * self.num_features * 2 <= HELD_BYTES:
            views = [
                parent.rows(numbers, np.full(len(numbers), view, np.int64)).astype(np.float16)
                for view in range(self.num_views)
            ]
            self._held = np.stack(views, axis=1)

    def __len__(self) -> int:
        return len(self._numbers)

    def rows(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float32]:
        """As `Features.rows`."""
        return self.halves(numbers, views).astype(np.float32)

    def halves(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float16]:
        """As `Features.halves`."""
        if self._held is None:
            return self._parent.rows(self._numbers[numbers], views).astype(np.float16)
        return self._held[numbers, 0 if views is None else views]

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        self._parent.release()
