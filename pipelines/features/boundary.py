"""Keeps the activations at the boundary of the fine-tuned blocks, so that the blocks below it run once for each view.

They lie in <cache>/boundaries/<base and boundary>/<kind>/*.npy, like features.
"""

from __future__ import annotations

import math
import os
import shutil
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import numpy as np
import tensorflow as tf

from models.arrays import HalfRows, Indices, Labels, Weights
from models.errors import UserError
from pipelines.features.cached import BaseKey, Features, as_before, digest
from pipelines.images.batches import ahead
from pipelines.system.cache import cache_folder
from pipelines.system.cache_contents import shards_in

if TYPE_CHECKING:
    import keras

TensorDataset: TypeAlias = Any  # TensorFlow ships no types
DEFAULT_LIMIT = 10e9  # bytes, where the disk has room
FREE_SHARE = 0.2
FOLDER = "boundaries"


@dataclass(frozen=True, slots=True, kw_only=True)
class Boundary(BaseKey):
    """A base that is cut below its top blocks; what is taken above them, and its pooling, do not matter.

    Attributes:
        layer: whose output crosses the boundary.
        shape: of one image's activations.
    """

    layer: str
    shape: tuple[int, ...]

    @property
    def folder(self) -> Path:
        """Where its activations lie."""
        identity = {
            name: value for name, value in asdict(self).items() if name not in ("backbone", "pooling", "features")
        }
        return cache_folder() / FOLDER / digest(as_before(identity))

    @property
    def row_bytes(self) -> int:
        """Of one view of one image, in float16."""
        return int(np.prod(self.shape)) * 2


def activation_limit() -> int:
    """How many bytes of activations are kept.

    `$HEADSTART_BOUNDARY_LIMIT` in GB; else 10 GB, but no more than a fifth of the free space.

    Raises:
        UserError: the variable is not a finite number of zero or more.
    """
    text = os.environ.get("HEADSTART_BOUNDARY_LIMIT")
    if not text:
        return int(min(DEFAULT_LIMIT, FREE_SHARE * (_free_bytes() + _stored_bytes())))
    try:
        size = float(text)
    except ValueError:
        size = -1.0
    if not 0 <= size < math.inf:
        raise UserError(f"HEADSTART_BOUNDARY_LIMIT must be a size in GB, got `{text}`", "set it to a number such as 10")
    return int(size * 1e9)


def make_room(boundary: Boundary, needed: int, limit: int) -> None:
    """Delete activations of other boundaries, the least recently used first, until `needed` bytes fit the limit."""
    shards = [shard for shard in shards_in(FOLDER) if boundary.folder not in shard.path.parents]
    excess = sum(shard.size for shard in shards) + needed - limit
    for shard in sorted(shards, key=lambda shard: shard.used):
        if excess <= 0:
            break
        shard.path.unlink(missing_ok=True)
        excess -= shard.size


def flattened(lower: keras.Model) -> keras.Model:
    """The part of a network below the boundary, its activations flattened: pixels -> (batch, values)."""
    import keras

    pixels = keras.Input(lower.input_shape[1:], name="pixels")
    return keras.Model(pixels, keras.layers.Flatten(name="row")(lower(pixels)), name="boundary")


def boundary_batches(
    activations: Features,
    shape: Sequence[int],
    *,
    batch: int,
    order: Indices | None = None,
    views: Indices | None = None,
    class_weights: Weights | None = None,
) -> TensorDataset:
    """Batches of activations and labels from the cache.

    Args:
        activations: as rows.
        shape: of one image's activations.
        batch: images a batch; the last may hold fewer.
        order: of the examples; None for as they come.
        views: (examples,) which view of each, in that order; None for the clean one.
        class_weights: (classes,) weight of each class in the loss; None for 1.

    Returns:
        A tf.data dataset of activations float16 (batch, *shape), labels int32 (batch,), weights float32 (batch,).
    """
    places = np.arange(len(activations)) if order is None else order

    def generate() -> Iterator[tuple[HalfRows, Labels, Weights]]:
        for start in range(0, len(places), batch):
            chosen = places[start : start + batch]
            rows = activations.halves(chosen, None if views is None else views[start : start + batch])
            labels = activations.labels[chosen]
            weights = np.ones(len(chosen), np.float32) if class_weights is None else class_weights[labels]
            yield rows.reshape(-1, *shape), labels, weights
            activations.release()

    signature = (
        tf.TensorSpec((None, *shape), tf.float16),
        tf.TensorSpec((None,), tf.int32),
        tf.TensorSpec((None,), tf.float32),
    )
    return ahead(tf.data.Dataset.from_generator(generate, output_signature=signature))


def draw_epoch(activations: Features, seed: int, epoch: int) -> tuple[Indices, Indices]:
    """The order of the examples in an epoch, and the view of each: the same for the same seed and epoch."""
    random = np.random.default_rng([seed, epoch])
    return random.permutation(len(activations)), random.integers(activations.num_views, size=len(activations))


def _free_bytes() -> int:
    folder = cache_folder()
    while not folder.exists():
        folder = folder.parent
    return shutil.disk_usage(folder).free


def _stored_bytes() -> int:
    return sum(shard.size for shard in shards_in(FOLDER))
