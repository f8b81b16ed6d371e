"""The feature cache: what a frozen base says of each view of each image is computed once.

    <cache>/features/<base>/base.json              what the base is: backbone, hash of its weights, size, pooling
    <cache>/features/<base>/engine-<asked>.json    which engine was chosen for it on this machine
    <cache>/features/<base>/<kind>/*.shard         features of one kind: clean or augmented, and the precision

An image is known by the hash of its content, so renaming, moving and adding files computes nothing twice, and every
training, ensemble, fold and evaluation shares what is there.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from pipelines.cache import cache_folder, evict
from pipelines.progress import Reporter
from pipelines.runs import write_json
from pipelines.specs import Example
from pipelines.store import Store, key

if TYPE_CHECKING:
    import keras

    from models.frozen import FrozenBase

Floats = NDArray[np.float32]
SHARD_ROWS = 2048
SHARD_BYTES = 1 << 26
SHARD_SECONDS = 15.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Base:
    """What makes the features of a frozen base what they are.

    Attributes:
        backbone: its name, or the run or file it comes from.
        weights_sha256: hash of the weights.
        image_size: side of the square input, pixels.
        pooling: how the feature map becomes a vector.
        decode_version: of the way from a file to pixels.
    """

    backbone: str
    weights_sha256: str
    image_size: int
    pooling: str
    decode_version: int

    @property
    def folder(self) -> Path:
        """Where its features lie."""
        # The name is for people; two files with the same weights give the same features.
        identity = {name: value for name, value in asdict(self).items() if name != "backbone"}
        return cache_folder() / "features" / digest(identity)


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """Which views of each image are wanted.

    Attributes:
        count: views an image; view 0 is the clean image.
        policy: name of the augmentation policy of the others.
        policy_digest: hash of what the policy does.
        seed: of the augmented views.
    """

    count: int = 1
    policy: str = "none"
    policy_digest: str = ""
    seed: int = 0


CLEAN = Views()


class Features:
    """Features of examples, read from the cache when asked for.

    Attributes:
        num_features: length of a feature vector.
        num_views: views of each example.
        labels: (examples,) class indices.
    """

    def __init__(self, stores: tuple[Store, Store], examples: Sequence[Example], num_views: int) -> None:
        self._stores = stores
        self._hashes = [example.sha256 for example in examples]
        self.labels = np.asarray([example.label for example in examples], np.int32)
        self.num_views = num_views
        self.num_features = len(self._stores[0].row(key(self._hashes[0], 0))) if examples else 0

    def __len__(self) -> int:
        return len(self._hashes)

    def rows(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> Floats:
        """Features (len(numbers), num_features) float32 of the examples `numbers`, each in its view (0: clean)."""
        return self.halves(numbers, views).astype(np.float32)

    def halves(self, numbers: NDArray[np.int64], views: NDArray[np.int64] | None = None) -> NDArray[np.float16]:
        """The same as they are kept, in float16."""
        found = np.empty((len(numbers), self.num_features), np.float16)
        for place, number in enumerate(numbers):
            view = 0 if views is None else int(views[place])
            found[place] = self._stores[view > 0].row(key(self._hashes[number], view))
        return found

    def pieces(self, size: int = 4096) -> Iterator[tuple[NDArray[np.int64], Floats]]:
        """The clean views in order, in pieces: (numbers, features)."""
        for at in range(0, len(self), size):
            numbers = np.arange(at, min(at + size, len(self)))
            yield numbers, self.rows(numbers)
            self.release()

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        for store in self._stores:
            store.release()


@dataclass(frozen=True, slots=True, kw_only=True)
class Collected:
    """The features of the parts of a dataset, and what getting them took.

    Attributes:
        parts: part name -> features.
        line: one line for the user.
        record: the same as data, for run.json.
        engine: what the engine said, for run.json.
    """

    parts: dict[str, Features]
    line: str
    record: dict[str, Any]
    engine: dict[str, Any]


def collect(
    parts: dict[str, Sequence[Example]],
    base: Base,
    *,
    build: Callable[[], keras.Model],
    views: dict[str, Views],
    engine: str,
    augmenter: Callable[[Any, Any, Any], Any] | None,
    reporter: Reporter,
) -> Collected:
    """Get the features of every part from the cache, computing what is not there.

    Args:
        parts: part name -> its examples.
        base: the frozen base.
        build: makes the model pixels (batch, size, size, 3) -> features (batch, features); called only when needed.
        views: part name -> which views of it are wanted.
        engine: `auto`, or the name of one of `models.frozen.ENGINES`.
        augmenter: (image float32 (size, size, 3) in [0, 255], seed int32 (2,), view int32) -> image; needed where
            a part wants more than one view.
        reporter: where progress goes.

    Raises:
        UserError: an image changed since it was checked, or the cache cannot be written.
    """
    started = time.monotonic()
    compiled: FrozenBase | None = None
    wanted = {name: _keys(examples, views[name]) for name, examples in parts.items()}
    total = sum(len(each) for each in wanted.values())
    chosen = _read_choice(base, engine, total)
    if chosen is None:
        compiled, chosen = _compile(base, build, engine, None, parts, total, reporter)
    spaces = {name: _stores(base, views[name], chosen["precision"]) for name in parts}
    _merge(spaces)
    missing = {name: _missing(wanted[name], spaces[name]) for name in parts}
    new = sum(len(each) for each in missing.values())
    if new and compiled is None:
        compiled, _ = _compile(base, build, chosen["engine"], chosen["precision"], parts, new, reporter)
    if new:
        assert compiled is not None
        with reporter.task("features", new) as task:
            for name in parts:
                _compute(compiled, missing[name], spaces[name], base, views[name], augmenter, task.advance)
    for name, pair in spaces.items():
        for number, store in enumerate(pair):
            store.touch(each for each, _, view in wanted[name] if (view > 0) == bool(number))
    evict()
    seconds = time.monotonic() - started
    num_views = max(each.count for each in views.values())
    per_view = seconds / new if new else chosen.get("seconds_per_view", 0.0)
    record = {
        "images": sum(len(examples) for examples in parts.values()),
        "views": num_views,
        "cached": total - new,
        "new": new,
        "seconds": round(seconds, 2),
        "damaged_shards": sum(store.damaged for store in {store for pair in spaces.values() for store in pair}),
    }
    if new:
        _write_choice(base, engine, {**chosen, "seconds_per_view": per_view})
    line = (
        f"features: {record['images']} images x {num_views} view{'s' if num_views > 1 else ''}, "
        f"{total - new:,} cached, {new:,} new, {seconds:.0f} s{_saving((total - new) * per_view)}"
    )
    found = {name: Features(spaces[name], tuple(examples), views[name].count) for name, examples in parts.items()}
    return Collected(parts=found, line=line, record=record, engine=chosen)


def weights_digest(path: Path) -> str:
    """SHA-256 of a weights file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


Wanted = tuple[bytes, Example, int]


def _keys(examples: Sequence[Example], views: Views) -> list[Wanted]:
    return [(key(each.sha256, view), each, view) for each in examples for view in range(views.count)]


def _missing(wanted: list[Wanted], stores: tuple[Store, Store]) -> list[Wanted]:
    """What is not in the store, each content once."""
    found = {each: entry for entry in wanted if (each := entry[0]) not in stores[entry[2] > 0]}
    return list(found.values())


def _stores(base: Base, views: Views, precision: str) -> tuple[Store, Store]:
    """Where clean and augmented views lie: a clean view is the same whatever the policy."""
    identity = {"policy": views.policy_digest, "seed": views.seed}
    clean = Store(base.folder / f"clean-{precision}")
    if views.count == 1:
        return clean, clean
    return clean, Store(base.folder / f"{Path(views.policy).stem}-{digest(identity)}-{precision}")


def _merge(spaces: dict[str, tuple[Store, Store]]) -> None:
    """Let parts share one open store a folder."""
    opened: dict[Path, Store] = {}
    for name, pair in spaces.items():
        shared = tuple(opened.setdefault(store.folder, store) for store in pair)
        spaces[name] = (shared[0], shared[1])


def _compute(
    compiled: FrozenBase,
    missing: list[Wanted],
    stores: tuple[Store, Store],
    base: Base,
    views: Views,
    augmenter: Callable[[Any, Any, Any], Any] | None,
    advance: Callable[..., None],
) -> None:
    """Run the missing views through the base and write them shard by shard: a kill loses one shard at most."""
    from pipelines.batches import view_batches

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


def _save(store: Store, keys: list[bytes], rows: NDArray[np.float16]) -> None:
    if not np.isfinite(rows).all():
        raise UserError(
            "the backbone gives features that are not finite in float16",
            "its weights or its pixel scaling are not what headstart expects; --no-cache trains without the cache",
        )
    store.add(keys, rows)


def _named(batches: Any, entries: list[Wanted]) -> Iterator[Any]:
    """Pass batches on; when an image fails, say which: TensorFlow does not."""
    import tensorflow as tf

    from pipelines.decode import decode

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


def _compile(
    base: Base,
    build: Callable[[], keras.Model],
    engine: str,
    precision: str | None,
    parts: dict[str, Sequence[Example]],
    num_images: int,
    reporter: Reporter,
) -> tuple[FrozenBase, dict[str, Any]]:
    """Build the base and its engine, measured on the first images; a precision that is given is kept to."""
    from models.frozen import compile_base
    from models.gpu import grow_memory
    from pipelines.batches import view_batches

    grow_memory()  # Before anything is on the GPU.
    first = next(iter(examples for examples in parts.values() if examples))[:32]
    sample = next(iter(view_batches([(each, 0) for each in first], size=base.image_size, batch=32)))
    compiled = compile_base(
        build(),
        engine=engine,
        precision=precision,
        sample=np.asarray(sample),
        num_images=num_images,
        choice_file=base.folder / "engines.json",
    )
    chosen = {
        "engine": compiled.engine,
        "precision": compiled.precision,
        "report": compiled.report,
        "num_images": num_images,
    }
    write_json(_made(base.folder) / "base.json", asdict(base))
    _write_choice(base, engine, chosen)
    for line in compiled.lines:
        reporter.note(line)
    return compiled, chosen


def _made(folder: Path) -> Path:
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise UserError(
            f"the cache folder `{cache_folder()}` cannot be written: {error.strerror}",
            "set HEADSTART_CACHE to a folder that can, or train with --no-cache",
        ) from error
    return folder


def _read_choice(base: Base, engine: str, num_images: int) -> dict[str, Any] | None:
    """What was chosen before; None if nothing was, or for so few images that a faster engine was not worth building."""
    try:
        found = json.loads((base.folder / f"engine-{engine}.json").read_text(encoding="utf-8"))
        known = {"engine", "precision", "report"} <= found.keys()
        return found if known and num_images <= 2 * found.get("num_images", num_images) else None
    except (OSError, ValueError, AttributeError, TypeError):
        return None


def _write_choice(base: Base, engine: str, chosen: dict[str, Any]) -> None:
    write_json(base.folder / f"engine-{engine}.json", chosen)


def digest(identity: dict[str, Any]) -> str:
    """A short name for what makes something what it is."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]


def _saving(seconds: float) -> str:
    if seconds < 5:
        return ""
    return f" (saves about {seconds / 60:.0f} min)" if seconds >= 90 else f" (saves about {seconds:.0f} s)"
