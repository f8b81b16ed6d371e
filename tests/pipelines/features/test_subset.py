"""A subset of features gives the rows of its parent, in memory or not."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from pipelines.features import subset
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.features.subset import FeatureSubset, FirstFeatures
from pipelines.runs.examples import Example

ROWS = np.random.default_rng(0).normal(size=(2, 8, 3)).astype(np.float16)  # (views, examples, features)
CHOSEN = np.asarray([6, 1, 4, 3])


@pytest.fixture
def parent(tmp_path: Path) -> Features:
    """Eight examples in two views."""
    examples = [
        Example(path="", label=number, split="train", sha256=f"{number:064x}", source="") for number in range(8)
    ]
    stores = ShardStore(tmp_path / "clean"), ShardStore(tmp_path / "augmented")
    for view, store in enumerate(stores):
        store.add([key(example.sha256, view) for example in examples], ROWS[view])
    return Features(stores, examples, 2)


@pytest.mark.parametrize("limit", [1 << 30, 0], ids=["in memory", "on disk"])
def test_rows_are_those_of_the_chosen_examples(parent: Features, monkeypatch: pytest.MonkeyPatch, limit: int) -> None:
    monkeypatch.setattr(subset, "IN_MEMORY_BYTES", limit)
    chosen = FeatureSubset(parent, CHOSEN)
    assert (len(chosen), chosen.num_views, chosen.num_features) == (4, 2, 3)
    assert chosen.labels.tolist() == CHOSEN.tolist()
    places, views = np.asarray([3, 0, 1]), np.asarray([1, 0, 1])
    np.testing.assert_array_equal(chosen.halves(places, views), ROWS[views, CHOSEN[places]])
    np.testing.assert_array_equal(chosen.rows(places), ROWS[0, CHOSEN[places]].astype(np.float32))
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in chosen.pieces(3)]), ROWS[0, CHOSEN])


def test_a_small_subset_is_read_once(parent: Features, monkeypatch: pytest.MonkeyPatch) -> None:
    chosen = FeatureSubset(parent, CHOSEN)
    monkeypatch.setattr(parent, "halves", None)  # whatever calls it fails
    np.testing.assert_array_equal(chosen.halves(np.arange(4), np.ones(4, int)), ROWS[1, CHOSEN])


def test_the_first_features_are_the_first_columns(parent: Features) -> None:
    first = FirstFeatures(parent, 2)
    assert (len(first), first.num_views, first.num_features) == (8, 2, 2)
    assert first.labels.tolist() == list(range(8))
    places, views = np.asarray([5, 2]), np.asarray([0, 1])
    np.testing.assert_array_equal(first.halves(places, views), ROWS[views, places, :2])
    np.testing.assert_array_equal(np.concatenate([rows for _, rows in first.pieces(3)]), ROWS[0, :, :2].astype("f"))
