"""Extracts features, reading cached ones and computing the rest in shards; an interruption loses at most one shard."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, TypeAlias

import numpy as np

from models.engines.records import EngineChoice
from models.errors import UserError
from pipelines.features.cached import BaseKey, Features, Views, digest
from pipelines.features.engine_choice import BaseToCompile
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from pipelines.runs.feature_records import FeatureRecord
from pipelines.system.cache import evict_features
from pipelines.system.progress import Reporter, Task

if TYPE_CHECKING:
    import keras

    from models.arrays import HalfRows
    from models.engines.compiled import CompiledBase
    from pipelines.images.augment import Augmenter

Tensor: TypeAlias = Any  # TensorFlow ships no types
# The stores of the clean views and of the augmented ones.
Stores: TypeAlias = tuple[ShardStore, ShardStore]
# A shard is written when it holds so much, or after so long.
SHARD_ROWS = 2048
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The features of the parts of a dataset, and what getting them took.

    Attributes:
        parts: part name -> features.
        line: one line for the user.
        record: the same, for run.json.
        engine: that computed them, for run.json.
    """

    parts: dict[str, Features]
    line: str
    record: FeatureRecord
    engine: EngineChoice


class WantedView(NamedTuple):
    """One view of one image."""

    key: bytes
    example: Example
    view: int


def extract(
    parts: Mapping[str, Sequence[Example]],
    base: BaseKey,
    *,
    build: Callable[[], keras.Model],
    views: Mapping[str, Views],
    engine: str,
    augmenter: Augmenter | None,
    reporter: Reporter,
) -> Extracted:
    """Get the features of every part from the cache, computing what is not there.

    Args:
        parts: part name -> its examples.
        base: the frozen base.
        build: makes the model pixels (batch, size, size, 3) -> features (batch, features); called only when needed.
        views: part name -> which views of it are wanted.
        engine: `auto`, or a name in `models.engines.table.ENGINES`.
        augmenter: makes a view of an image; needed where a part wants more than one.
        reporter: shows progress.

    Raises:
        UserError: an image changed since it was checked, or the cache cannot be written.
    """
    started = time.monotonic()
    to_compile = BaseToCompile(key=base, build=build, engine=engine, reporter=reporter)
    wanted = {name: _list_views(examples, views[name]) for name, examples in parts.items()}
    total = sum(len(of_part) for of_part in wanted.values())
    first_examples = next(examples for examples in parts.values() if examples)

    # The engine decides in which precision features are computed, and so where they are kept.
    compiled: CompiledBase | None = None
    choice = to_compile.remembered(total)
    if choice is None:
        compiled = to_compile.compile(first_examples, total)
        choice = compiled.choice
    stores = _open_stores(base, {name: views[name] for name in parts}, choice.precision)

    # What is missing is computed.
    missing = {name: _missing(wanted[name], stores[name]) for name in parts}
    new = sum(len(of_part) for of_part in missing.values())
    if new:
        compiled = compiled or to_compile.compile_chosen(first_examples, choice)
        with reporter.task("features", new) as task:
            for name in parts:
                extraction = _Extraction(compiled=compiled, base=base, views=views[name], task=task)
                extraction.run(missing[name], stores[name], augmenter)
    _touch(wanted, stores)
    evict_features()

    # What that took.
    seconds = time.monotonic() - started
    record = FeatureRecord(
        images=sum(len(examples) for examples in parts.values()),
        views=max(of_part.count for of_part in views.values()),
        cached=total - new,
        new=new,
        seconds=round(seconds, 2),
        damaged_shards=sum(store.damaged for store in {store for pair in stores.values() for store in pair}),
    )
    if new:
        choice = replace(choice, seconds_per_view=seconds / new)
        to_compile.remember(choice)
    features = {name: Features(stores[name], tuple(examples), views[name].count) for name, examples in parts.items()}
    return Extracted(parts=features, line=_line(record, seconds, choice), record=record, engine=choice)


def _line(record: FeatureRecord, seconds: float, choice: EngineChoice) -> str:
    saved = record.cached * (choice.seconds_per_view or 0.0)
    return (
        f"features: {record.images} images x {record.views} view{'s' if record.views > 1 else ''}, "
        f"{record.cached:,} cached, {record.new:,} new, {seconds:.0f} s{_saving(saved)}"
    )


def _list_views(examples: Sequence[Example], views: Views) -> list[WantedView]:
    return [WantedView(key(example.sha256, view), example, view) for example in examples for view in range(views.count)]


def _missing(wanted: Iterable[WantedView], stores: Stores) -> list[WantedView]:
    """What is not in the stores, each content once."""
    return list({view.key: view for view in wanted if view.key not in stores[view.view > 0]}.values())


def _open_stores(base: BaseKey, views: Mapping[str, Views], precision: str) -> dict[str, Stores]:
    """The stores of each part; parts share one open store per folder."""
    opened: dict[Path, ShardStore] = {}

    def open_store(folder: Path) -> ShardStore:
        if folder not in opened:
            opened[folder] = ShardStore(folder)
        return opened[folder]

    stores = {}
    for part, of_part in views.items():
        # A clean view is the same whatever the policy.
        clean = augmented = open_store(base.folder / f"clean-{precision}")
        if of_part.count > 1:
            identity = digest({"policy": of_part.policy_digest, "seed": of_part.seed})
            augmented = open_store(base.folder / f"{Path(of_part.policy).stem}-{identity}-{precision}")
        stores[part] = clean, augmented
    return stores


def _touch(wanted: Mapping[str, Sequence[WantedView]], stores: Mapping[str, Stores]) -> None:
    """Mark all shards of the wanted views as used."""
    for part, (clean, augmented) in stores.items():
        clean.touch(view.key for view in wanted[part] if view.view == 0)
        augmented.touch(view.key for view in wanted[part] if view.view > 0)


@dataclass(slots=True, kw_only=True)
class _Extraction:
    """Runs missing views of one part through the base."""

    compiled: CompiledBase
    base: BaseKey
    views: Views
    task: Task

    def run(self, missing: Sequence[WantedView], stores: Stores, augmenter: Augmenter | None) -> None:
        """Compute clean views, then augmented ones: they go to different stores."""
        clean = [view for view in missing if view.view == 0]
        augmented = [view for view in missing if view.view > 0]
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

        batches = view_batches(
            [(view.example, view.view) for view in missing],
            size=self.base.image_size,
            batch=self.compiled.batch,
            augmenter=augmenter,
            seed=self.views.seed,
        )
        for pixels in _name_failures(batches, missing):
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


def _name_failures(batches: Iterable[Tensor], views: Sequence[WantedView]) -> Iterator[Tensor]:
    """Pass batches on; when an image fails, name it: TensorFlow does not."""
    import tensorflow as tf

    from pipelines.images.decode import decode

    try:
        yield from batches
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        for view in views:
            try:
                decode(tf.io.read_file(os.fsencode(view.example.source)))
            except tf.errors.OpError:
                raise UserError(
                    f"`{view.example.path}` can no longer be read: it changed since it was checked",
                    "type the same command again: what was computed is kept",
                ) from error
        raise


def _saving(seconds: float) -> str:
    if seconds < 5:
        return ""
    return f" (saves about {seconds / 60:.0f} min)" if seconds >= 90 else f" (saves about {seconds:.0f} s)"
