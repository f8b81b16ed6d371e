"""Extracts features, reading cached ones and computing the rest in shards; an interruption loses at most one shard."""

from __future__ import annotations

import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.engines.records import EngineChoice
from pipelines.features.cached import BaseKey, Features, Views, digest
from pipelines.features.compute import Extraction, Stores, WantedView
from pipelines.features.frozen_base import FrozenBase
from pipelines.features.shards import ShardStore, key, shard_files
from pipelines.features.subset import FirstFeatures, MirroredFeatures
from pipelines.runs.examples import Example
from pipelines.runs.feature_records import FeatureRecord
from pipelines.system.cache_contents import evict
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import counted

if TYPE_CHECKING:
    from models.engines.compiled import CompiledBase
    from pipelines.images.augment import Augmenter

# Of the folder of the clean views in a precision, and before that of the mirror images of any views.
CLEAN_PREFIX, MIRRORED_PREFIX = "clean-", "mirrored-"


@dataclass(frozen=True, slots=True, kw_only=True)
class Extracted:
    """The features of the parts of a dataset.

    Attributes:
        parts: part name -> features.
        line: how many were cached and new, for the user.
        record: the same, for run.json.
        engine: that computed them, for run.json.
    """

    parts: dict[str, Features]
    line: str
    record: FeatureRecord
    engine: EngineChoice


def extract(
    parts: Mapping[str, Sequence[Example]],
    base: FrozenBase,
    *,
    views: Mapping[str, Views],
    augmenter: Augmenter | None,
    reporter: Reporter,
) -> Extracted:
    """Get the features of every part from the cache, computing what is not there.

    Args:
        parts: part name -> its examples.
        base: that computes them; it is built and compiled only where views are missing.
        views: part name -> which views of it are wanted.
        augmenter: makes views of an image; needed where a part wants more than the clean one.
        reporter: shows progress.

    Raises:
        UserError: an image changed since it was checked, or the cache cannot be written.
    """
    started = time.monotonic()
    wanted = {name: _list_views(examples, views[name], mirror=base.mirror) for name, examples in parts.items()}
    if (of_levels := _find_in_levels(parts, base, views, wanted)) is not None:
        return of_levels
    total, sample = sum(map(len, wanted.values())), next(examples for examples in parts.values() if examples)

    # The engine decides in which precision features are computed, and so where they are kept.
    compiled: CompiledBase | None = None
    if (choice := base.recall_engine(total, reporter)) is None:
        compiled = base.compile(sample, total, reporter)
        choice = compiled.choice
    stores = _open_stores(base, {name: views[name] for name in parts}, choice.precision)
    _warn_of_damage(stores, reporter)

    # What is missing is computed.
    missing = {name: _missing(wanted[name], stores[name]) for name in parts}
    new = sum(map(len, missing.values()))
    if new:
        _note_other_precisions(base.key, choice, reporter)
        compiled = compiled or base.compile_chosen(sample, choice, reporter)
        with reporter.task("features", new) as task:
            for name in parts:
                extraction = Extraction(compiled=compiled, base=base.key, views=views[name], task=task)
                extraction.run(missing[name], stores[name], augmenter)
    _touch(wanted, stores)
    evict()

    # The record of the extraction.
    seconds = time.monotonic() - started
    record = _describe(parts, base, views, stores, total=total, new=new, seconds=seconds)
    if new:
        choice = replace(choice, seconds_per_view=seconds / new)
        base.remember_engine(choice, reporter)
    features = {name: _features_in(stores[name], examples, views[name]) for name, examples in parts.items()}
    return Extracted(parts=features, line=_line(record, seconds, choice), record=record, engine=choice)


def _find_in_levels(
    parts: Mapping[str, Sequence[Example]],
    base: FrozenBase,
    views: Mapping[str, Views],
    wanted: Mapping[str, Sequence[WantedView]],
) -> Extracted | None:
    """The features of the last layer, where those of all levels are cached: they come first in each row."""
    if base.key.features != "last" or base.key.pooling != "avg":
        return None
    levels = replace(base, key=replace(base.key, features="levels"))
    num_last = levels.num_last()
    total = sum(map(len, wanted.values()))
    choice = levels.recall_engine(total, Silent()) if num_last else None
    if num_last is None or choice is None:
        return None
    stores = _open_stores(levels, {name: views[name] for name in parts}, choice.precision)
    if any(_missing(wanted[name], stores[name]) for name in parts):
        return None
    _touch(wanted, stores)
    record = _describe(parts, base, views, stores, total=total, new=0, seconds=0.0)
    features: dict[str, Features] = {
        name: FirstFeatures(_features_in(stores[name], examples, views[name]), num_last)
        for name, examples in parts.items()
    }
    return Extracted(parts=features, line=_line(record, 0.0, choice), record=record, engine=choice)


def _features_in(stores: Stores, examples: Sequence[Example], views: Views) -> Features:
    plain, *mirrored = (
        Features((clean, augmented), tuple(examples), views.count)
        for clean, augmented in zip(stores[::2], stores[1::2], strict=True)
    )
    return MirroredFeatures(plain, mirrored[0]) if mirrored else plain


def _describe(
    parts: Mapping[str, Sequence[Example]],
    base: FrozenBase,
    views: Mapping[str, Views],
    stores: Mapping[str, Stores],
    *,
    total: int,
    new: int,
    seconds: float,
) -> FeatureRecord:
    return FeatureRecord(
        images=sum(len(examples) for examples in parts.values()),
        views=max(of_part.count for of_part in views.values()),
        cached=total - new,
        new=new,
        seconds=round(seconds, 2),
        damaged_shards=_num_damaged(stores),
        mirror=base.mirror,
    )


def _warn_of_damage(stores: Mapping[str, Stores], reporter: Reporter) -> None:
    if damaged := _num_damaged(stores):
        reporter.warn(f"{counted(damaged, 'damaged shard')} of the feature cache deleted: computing its features again")


def _num_damaged(stores: Mapping[str, Stores]) -> int:
    return sum(store.damaged for store in {store for pair in stores.values() for store in pair})


def _line(record: FeatureRecord, seconds: float, choice: EngineChoice) -> str:
    saved = record.cached * (choice.seconds_per_view or 0.0)
    mirrored = (" and their mirror images" if record.views > 1 else " and its mirror image") if record.mirror else ""
    return (
        f"features: {counted(record.images, 'image')} x {counted(record.views, 'view')}{mirrored}, "
        f"{record.cached:,} cached, {record.new:,} new, {seconds:.0f} s{_saving(saved)}"
    )


def _list_views(examples: Sequence[Example], views: Views, *, mirror: bool) -> list[WantedView]:
    return [
        WantedView(key(example.sha256, number), example, number, is_mirrored)
        for example in examples
        for number in range(views.count)
        for is_mirrored in ((False, True) if mirror else (False,))
    ]


def _missing(wanted: Iterable[WantedView], stores: Stores) -> list[WantedView]:
    """What is not in the stores, each content once."""
    return list({(view.key, view.kind): view for view in wanted if view.key not in stores[view.kind]}.values())


def _open_stores(base: FrozenBase, views: Mapping[str, Views], precision: str) -> dict[str, Stores]:
    """The stores of each part; parts share one open store per folder."""
    opened: dict[Path, ShardStore] = {}
    num_features = base.num_features()

    def open_store(folder: Path) -> ShardStore:
        if folder not in opened:
            opened[folder] = ShardStore(folder, num_features)
        return opened[folder]

    stores = {}
    for part, of_part in views.items():
        # A clean view is the same whatever the policy.
        clean = augmented = f"{CLEAN_PREFIX}{precision}"
        if of_part.count > 1:
            identity = digest({"policy": of_part.policy_digest, "seed": of_part.seed})
            augmented = f"{Path(of_part.policy).stem}-{identity}-{precision}"
        prefixes = ("", MIRRORED_PREFIX) if base.mirror else ("",)
        names = [f"{prefix}{name}" for prefix in prefixes for name in (clean, augmented)]
        stores[part] = tuple(open_store(base.key.folder / name) for name in names)
    return stores


def _note_other_precisions(base: BaseKey, choice: EngineChoice, reporter: Reporter) -> None:
    """Explain why the features that an engine of another precision computed are not used."""
    folders = {folder.name.removeprefix(CLEAN_PREFIX): folder for folder in base.folder.glob(f"{CLEAN_PREFIX}*")}
    others = sorted(name for name, folder in folders.items() if any(shard_files(folder)))
    if others and choice.precision not in others:
        reporter.note(
            f"computing features anew: those in the cache are {' and '.join(others)}, and the engine chosen here "
            f"computes in {choice.precision}"
        )


def _touch(wanted: Mapping[str, Sequence[WantedView]], stores: Mapping[str, Stores]) -> None:
    """Mark all shards of the wanted views as used."""
    for part, of_part in stores.items():
        for kind, store in enumerate(of_part):
            store.touch(view.key for view in wanted[part] if view.kind == kind)


def _saving(seconds: float) -> str:
    if seconds < 5:
        return ""
    return f" (saves about {seconds / 60:.0f} min)" if seconds >= 90 else f" (saves about {seconds:.0f} s)"
