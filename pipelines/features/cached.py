"""Identifies the features of a frozen base in the cache and reads their rows.

    <cache>/features/<base>/base.json             the key of the base, such as the hash of its weights
    <cache>/features/<base>/chosen-engines.json   the engine that was chosen for it on each machine
    <cache>/features/<base>/<kind>/*.npy          features of one kind: clean or augmented, and the precision

An image is identified by the hash of its content: renaming, moving and adding files computes nothing twice, and all
trainings, ensembles, folds and evaluations share the features.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from models.arrays import FeatureRows, HalfRows, Indices
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from pipelines.runs.square import Fit, Square
from pipelines.system.cache import cache_folder


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseKey:
    """Everything that the features of a frozen base depend on.

    Attributes:
        backbone: its name, or the run or file it comes from.
        weights_sha256: hash of the weights.
        image_size: side of the square input, pixels.
        pooling: how the feature map becomes a vector.
        decode_version: of the steps from a file to pixels.
        features: of the `last` layer, or of all `levels`.
        fit: how an image is fitted to the square.
    """

    backbone: str
    weights_sha256: str
    image_size: int
    pooling: str
    decode_version: int
    features: str = "last"
    fit: Fit = "squash"

    @property
    def square(self) -> Square:
        """The square that the base is given of every image."""
        return Square(size=self.image_size, fit=self.fit)

    @property
    def folder(self) -> Path:
        """Where its features lie."""
        # The name is for the user; two files with the same weights give the same features.
        identity = {name: value for name, value in asdict(self).items() if name != "backbone"}
        return cache_folder() / "features" / digest(as_before(identity))


@dataclass(frozen=True, slots=True, kw_only=True)
class Views:
    """The views of each image that are wanted.

    Attributes:
        count: views an image; view 0 is the clean image.
        policy: name of the augmentation policy of the others.
        policy_digest: hash of the policy's steps.
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
        labels: (examples,) class indices, int32.
    """

    def __init__(self, stores: tuple[ShardStore, ShardStore], examples: Sequence[Example], num_views: int) -> None:
        self._stores = stores
        self._hashes = [example.sha256 for example in examples]
        self.labels = np.asarray([example.label for example in examples], np.int32)
        self.num_views = num_views
        self.num_features = len(self._stores[0].row(key(self._hashes[0], 0))) if examples else 0

    def __len__(self) -> int:
        return len(self._hashes)

    def rows(self, places: Indices, views: Indices | None = None) -> FeatureRows:
        """Features (len(places), num_features) of the examples at `places`, each in its view (0: clean)."""
        return self.halves(places, views).astype(np.float32)

    def halves(self, places: Indices, views: Indices | None = None) -> HalfRows:
        """The same as they are stored, in float16."""
        rows = np.empty((len(places), self.num_features), np.float16)
        for number, place in enumerate(places):
            view = 0 if views is None else int(views[number])
            rows[number] = self._stores[view > 0].row(key(self._hashes[place], view))
        return rows

    def pieces(self, size: int = 4096) -> Iterator[tuple[Indices, FeatureRows]]:
        """The clean views in order, in pieces: (places, features)."""
        for start in range(0, len(self), size):
            places = np.arange(start, min(start + size, len(self)))
            yield places, self.rows(places)
            self.release()

    def release(self) -> None:
        """Let pages that were read leave this process's memory."""
        for store in self._stores:
            store.release()


def weights_digest(path: Path) -> str:
    """SHA-256 of a weights file, hexadecimal."""
    with open(path, "rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def as_before(identity: Mapping[str, object]) -> dict[str, object]:
    """An identity without what it did not name before there were others than the first: what is cached stays."""
    first = {"features": "last", "fit": "squash"}
    return {name: value for name, value in identity.items() if value != first.get(name)}


def digest(identity: Mapping[str, object]) -> str:
    """A short hash of plain JSON values, whatever the order of their names."""
    return hashlib.sha256(json.dumps(identity, sort_keys=True).encode()).hexdigest()[:16]
