"""Runs missing views of images through a compiled base and writes their features, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.errors import UserError
from pipelines.features.cached import BaseKey, Views
from pipelines.features.shards import ShardStore
from pipelines.runs.examples import Example
from pipelines.system.progress import Task

if TYPE_CHECKING:
    from models.arrays import HalfRows
    from models.engines.compiled import CompiledBase
    from pipelines.images.augment import Augmenter

# A shard is written when it holds so much, or after so long.
SHARD_ROWS = 2048
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 15.0


class WantedView(NamedTuple):
    """One view of one image.

    Attributes:
        key: of its features.
        example: the image.
        number: of the view; 0 is the clean image.
    """

    key: bytes
    example: Example
    number: int


@dataclass(slots=True, kw_only=True)
class Extraction:
    """Runs missing views of one part through the base.

    Attributes:
        compiled: the base.
        base: the key of its features.
        views: that the part wants.
        task: shows progress.
    """

    compiled: CompiledBase
    base: BaseKey
    views: Views
    task: Task

    def run(
        self, missing: Sequence[WantedView], stores: tuple[ShardStore, ShardStore], augmenter: Augmenter | None
    ) -> None:
        """Compute clean views, then augmented ones: they go to different stores."""
        clean = [view for view in missing if view.number == 0]
        augmented = [view for view in missing if view.number > 0]
        if clean:
            self._fill(stores[0], clean, None)
        if augmented:
            self._fill(stores[1], augmented, augmenter)

    def _fill(self, store: ShardStore, missing: list[WantedView], augmenter: Augmenter | None) -> None:
        """Write the features of views into a store, shard by shard."""
        done = written = 0
        pending: list[HalfRows] = []
        since = time.monotonic()
        for rows in self._rows(missing, augmenter):
            pending.append(rows)
            done += len(rows)
            waiting = done - written
            is_full = waiting >= SHARD_ROWS or waiting * rows[0].nbytes >= SHARD_BYTES
            if is_full or time.monotonic() - since > SHARD_SECONDS or done == len(missing):
                _save(store, [view.key for view in missing[written:done]], np.concatenate(pending))
                pending, written, since = [], done, time.monotonic()

    def _rows(self, missing: list[WantedView], augmenter: Augmenter | None) -> Iterator[HalfRows]:
        from pipelines.images.batches import view_batches
        from pipelines.images.unchanged import naming_changed

        batches = view_batches(
            [(view.example, view.number) for view in missing],
            square=self.base.square,
            batch=self.compiled.batch,
            augmenter=augmenter,
            seed=self.views.seed,
        )
        with naming_changed(view.example for view in missing):
            for pixels in batches:
                began = time.monotonic()
                rows = self.compiled(pixels)
                rate = len(rows) / max(time.monotonic() - began, 1e-9)
                self.task.advance(len(rows), rate=f"{rate:.0f} images/s in the base")
                yield rows.astype(np.float16)


def _save(store: ShardStore, keys: list[bytes], rows: HalfRows) -> None:
    if not np.isfinite(rows).all():
        raise UserError(
            "the backbone gives features that are not finite in float16",
            "its weights or its pixel scaling are not what headstart expects; --no-cache trains without the cache",
        )
    store.add(keys, rows)
