"""Runs missing views of images through a compiled base and writes their features, shard by shard."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

import numpy as np

from models.errors import UserError
from pipelines.features.cached import BaseKey, Views
from pipelines.features.shards import ShardStore
from pipelines.runs.examples import Example
from pipelines.system.progress import Task

if TYPE_CHECKING:
    from models.arrays import HalfRows, Pixels
    from models.engines.compiled import CompiledBase
    from pipelines.images.augment import Augmenter

# The stores of the clean views and of the augmented ones; then those of their mirror images, where they are wanted.
Stores: TypeAlias = tuple[ShardStore, ...]
# A shard is written when it holds so much, or after so long.
SHARD_ROWS = 2048
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 15.0


class WantedView(NamedTuple):
    """One view of one image, or its mirror image.

    Attributes:
        key: of its features.
        example: the image.
        number: of the view; 0 is the clean image.
        is_mirrored: whether left and right are exchanged.
    """

    key: bytes
    example: Example
    number: int
    is_mirrored: bool = False

    @property
    def kind(self) -> int:
        """Which of `Stores` its features lie in."""
        return (self.number > 0) + 2 * self.is_mirrored


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

    def run(self, missing: Sequence[WantedView], stores: Stores, augmenter: Augmenter | None) -> None:
        """Compute clean views, then augmented ones; a view that is missing with its mirror image is decoded once."""
        kinds_of: dict[bytes, set[int]] = {}
        for view in missing:
            kinds_of.setdefault(view.key, set()).add(view.kind)
        alike: dict[tuple[int, ...], dict[bytes, WantedView]] = {}
        for view in missing:
            alike.setdefault(tuple(sorted(kinds_of[view.key])), {})[view.key] = view
        for kinds, views in sorted(alike.items(), key=lambda item: (item[0][0] % 2, item[0])):
            self._fill(stores, kinds, list(views.values()), augmenter if kinds[0] % 2 else None)

    def _fill(
        self, stores: Stores, kinds: tuple[int, ...], missing: list[WantedView], augmenter: Augmenter | None
    ) -> None:
        """Write the features of views, in one or both of their kinds, into their stores, shard by shard."""
        done = written = 0
        pending: list[tuple[HalfRows, ...]] = []
        since = time.monotonic()
        for rows in self._rows(missing, augmenter, [kind >= 2 for kind in kinds]):
            pending.append(rows)
            done += len(rows[0])
            waiting = done - written
            is_full = waiting >= SHARD_ROWS or waiting * rows[0][0].nbytes >= SHARD_BYTES
            if is_full or time.monotonic() - since > SHARD_SECONDS or done == len(missing):
                keys = [view.key for view in missing[written:done]]
                for kind, pieces in zip(kinds, zip(*pending, strict=True), strict=True):
                    _save(stores[kind], keys, np.concatenate(pieces))
                pending, written, since = [], done, time.monotonic()

    def _rows(
        self, missing: list[WantedView], augmenter: Augmenter | None, mirrorings: Sequence[bool]
    ) -> Iterator[tuple[HalfRows, ...]]:
        """The features of views, batch by batch: for each of `mirrorings`, as they are or mirrored."""
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
                yield tuple(self._compute(pixels[:, :, ::-1] if mirrored else pixels) for mirrored in mirrorings)

    def _compute(self, pixels: Pixels) -> HalfRows:
        began = time.monotonic()
        rows = self.compiled(pixels)
        rate = len(rows) / max(time.monotonic() - began, 1e-9)
        self.task.advance(len(rows), rate=f"{rate:.0f} images/s in the base")
        return rows.astype(np.float16)


def _save(store: ShardStore, keys: list[bytes], rows: HalfRows) -> None:
    if not np.isfinite(rows).all():
        raise UserError(
            "the backbone gives features that are not finite in float16",
            "its weights or its pixel scaling are not what headstart expects; --no-cache trains without the cache",
        )
    store.add(keys, rows)
