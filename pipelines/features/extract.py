"""Get features from the cache, computing what is not there: shard by shard, so that a kill loses one shard at most."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.engines.records import EngineChoice
from models.errors import UserError
from pipelines.features.cached import Base, Features, Views, digest
from pipelines.features.engine_choice import BaseToCompile
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from pipelines.runs.feature_records import FeatureRecord
from pipelines.system.cache import evict_features
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

    from models.engines.compiled import CompiledBase

# A shard is written when it holds so much, or after so long: a kill loses one at most.
SHARD_ROWS = 2048
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The features of the parts of a dataset, and what getting them took.

    Attributes:
        parts: part name -> features.
        line: one line for the user.
        record: the same as data, for run.json.
        engine: what the engine said, for run.json.
    """

    parts: dict[str, Features]
    line: str
    record: FeatureRecord
    engine: EngineChoice


def extract(
    parts: dict[str, Sequence[Example]],
    base: Base,
    *,
    build: Callable[[], keras.Model],
    views: dict[str, Views],
    engine: str,
    augmenter: Callable[[Any, Any, Any], Any] | None,
    reporter: Reporter,
) -> Extracted:
    """Get the features of every part from the cache, computing what is not there.

    Args:
        parts: part name -> its examples.
        base: the frozen base.
        build: makes the model pixels (batch, size, size, 3) -> features (batch, features); called only when needed.
        views: part name -> which views of it are wanted.
        engine: `auto`, or a name in `models.engines.table.ENGINES`.
        augmenter: (image float32 (size, size, 3) in [0, 255], seed int32 (2,), view int32) -> image; needed where
            a part wants more than one view.
        reporter: where progress goes.

    Raises:
        UserError: an image changed since it was checked, or the cache cannot be written.
    """
    started = time.monotonic()
    to_compile = BaseToCompile(key=base, build=build, engine=engine, reporter=reporter)
    wanted = {name: _keys(examples, views[name]) for name, examples in parts.items()}
    total = sum(len(views_of_part) for views_of_part in wanted.values())
    first_examples = next(examples for examples in parts.values() if examples)

    # The engine decides in which precision features are computed, and so where they are kept.
    compiled: CompiledBase | None = None
    choice = to_compile.remembered(total)
    if choice is None:
        compiled = to_compile.compile(first_examples, total)
        choice = compiled.choice
    stores = {name: _stores(base, views[name], choice.precision) for name in parts}
    _merge(stores)

    # What is missing is computed.
    missing = {name: _missing(wanted[name], stores[name]) for name in parts}
    new = sum(len(views_of_part) for views_of_part in missing.values())
    if new:
        compiled = compiled or to_compile.compile_chosen(first_examples, choice)
        with reporter.task("features", new) as task:
            for name in parts:
                _compute(compiled, missing[name], stores[name], base, views[name], augmenter, task.advance)
    for name, pair in stores.items():
        for number, store in enumerate(pair):
            store.touch(key for key, _, view in wanted[name] if (view > 0) == bool(number))
    evict_features()

    seconds = time.monotonic() - started
    num_views = max(part_views.count for part_views in views.values())
    record = FeatureRecord(
        images=sum(len(examples) for examples in parts.values()),
        views=num_views,
        cached=total - new,
        new=new,
        seconds=round(seconds, 2),
        damaged_shards=sum(store.damaged for store in {store for pair in stores.values() for store in pair}),
    )
    if new:
        choice = replace(choice, seconds_per_view=seconds / new)
        to_compile.remember(choice)
    saved = (total - new) * (choice.seconds_per_view or 0.0)
    line = (
        f"features: {record.images} images x {num_views} view{'s' if num_views > 1 else ''}, "
        f"{total - new:,} cached, {new:,} new, {seconds:.0f} s{_saving(saved)}"
    )
    features = {name: Features(stores[name], tuple(examples), views[name].count) for name, examples in parts.items()}
    return Extracted(parts=features, line=line, record=record, engine=choice)


Wanted = tuple[bytes, Example, int]


def _keys(examples: Sequence[Example], views: Views) -> list[Wanted]:
    return [(key(each.sha256, view), each, view) for each in examples for view in range(views.count)]


def _missing(wanted: list[Wanted], stores: tuple[ShardStore, ShardStore]) -> list[Wanted]:
    """What is not in the store, each content once."""
    found = {each: entry for entry in wanted if (each := entry[0]) not in stores[entry[2] > 0]}
    return list(found.values())


def _stores(base: Base, views: Views, precision: str) -> tuple[ShardStore, ShardStore]:
    """Where clean and augmented views lie: a clean view is the same whatever the policy."""
    identity = {"policy": views.policy_digest, "seed": views.seed}
    clean = ShardStore(base.folder / f"clean-{precision}")
    if views.count == 1:
        return clean, clean
    return clean, ShardStore(base.folder / f"{Path(views.policy).stem}-{digest(identity)}-{precision}")


def _merge(spaces: dict[str, tuple[ShardStore, ShardStore]]) -> None:
    """Let parts share one open store a folder."""
    opened: dict[Path, ShardStore] = {}
    for name, pair in spaces.items():
        shared = tuple(opened.setdefault(store.folder, store) for store in pair)
        spaces[name] = (shared[0], shared[1])


def _compute(
    compiled: CompiledBase,
    missing: list[Wanted],
    stores: tuple[ShardStore, ShardStore],
    base: Base,
    views: Views,
    augmenter: Callable[[Any, Any, Any], Any] | None,
    advance: Callable[..., None],
) -> None:
    """Run the missing views through the base and write them shard by shard: a kill loses one shard at most."""
    from pipelines.images.batches import view_batches

    # Augmented and clean views go to different stores: one after the other.
    for augmented in (False, True):
        entries = [entry for entry in missing if (entry[2] > 0) == augmented]
        if not entries:
            continue
        store, pending, waiting, since = stores[augmented], [], 0, time.monotonic()
        batches = view_batches(
            [(each, view) for _, each, view in entries],
            size=base.image_size,
            batch=compiled.batch,
            augmenter=augmenter if augmented else None,
            seed=views.seed,
        )
        at = written = 0
        for pixels in _named(batches, entries):
            began = time.monotonic()
            rows = compiled(pixels)
            took = time.monotonic() - began
            at, waiting = at + len(rows), waiting + len(rows)
            pending.append(rows.astype(np.float16))
            advance(len(rows), rate=f"{len(rows) / max(took, 1e-9):.0f} images/s in the base")
            full = waiting >= SHARD_ROWS or waiting * pending[0][0].nbytes >= SHARD_BYTES
            if full or time.monotonic() - since > SHARD_SECONDS or at == len(entries):
                _save(store, [entry[0] for entry in entries[written:at]], np.concatenate(pending))
                pending, waiting, written, since = [], 0, at, time.monotonic()


def _save(store: ShardStore, keys: list[bytes], rows: NDArray[np.float16]) -> None:
    if not np.isfinite(rows).all():
        raise UserError(
            "the backbone gives features that are not finite in float16",
            "its weights or its pixel scaling are not what headstart expects; --no-cache trains without the cache",
        )
    store.add(keys, rows)


def _named(batches: Any, entries: list[Wanted]) -> Iterator[Any]:
    """Pass batches on; when an image fails, say which: TensorFlow does not."""
    import tensorflow as tf

    from pipelines.images.decode import decode

    try:
        yield from batches
    except (tf.errors.InvalidArgumentError, tf.errors.NotFoundError, tf.errors.PermissionDeniedError) as error:
        for _, example, _ in entries:
            try:
                decode(tf.io.read_file(_bytes(example.source)))
            except tf.errors.OpError:
                raise UserError(
                    f"`{example.path}` can no longer be read: it changed since it was checked",
                    "type the same command again: what was computed is kept",
                ) from error
        raise


def _bytes(path: str) -> bytes:
    import os

    return os.fsencode(path)


def _saving(seconds: float) -> str:
    if seconds < 5:
        return ""
    return f" (saves about {seconds / 60:.0f} min)" if seconds >= 90 else f" (saves about {seconds:.0f} s)"
