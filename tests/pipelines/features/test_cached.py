"""Cached features come back by example and view, in any order, and their place depends on what changes them."""

from __future__ import annotations

import hashlib
from dataclasses import fields, replace
from pathlib import Path

import numpy as np
import pytest

from models.arrays import HalfRows
from pipelines.features.cached import Features, digest, weights_digest
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from tests.pipelines.features.drawn import KEY

NUM_EXAMPLES, NUM_VIEWS, NUM_FEATURES = 10, 3, 5


@pytest.fixture
def rows() -> HalfRows:
    """(views, examples, features)."""
    return np.random.default_rng(0).normal(size=(NUM_VIEWS, NUM_EXAMPLES, NUM_FEATURES)).astype(np.float16)


@pytest.fixture
def features(tmp_path: Path, rows: HalfRows) -> Features:
    """Clean views in one store and augmented ones in another, over several shards."""
    examples = [
        Example(path=f"{number}.png", label=number % 4, split="train", sha256=f"{number:064x}", source="")
        for number in range(NUM_EXAMPLES)
    ]
    stores = ShardStore(tmp_path / "clean"), ShardStore(tmp_path / "augmented")
    for view in range(NUM_VIEWS):
        for half in (range(4), range(4, NUM_EXAMPLES)):
            stores[view > 0].add([key(examples[number].sha256, view) for number in half], rows[view, half])
    return Features(stores, examples, NUM_VIEWS)


def test_rows_are_those_of_the_examples_and_views_asked_for(features: Features, rows: HalfRows) -> None:
    assert (len(features), features.num_features, features.num_views) == (NUM_EXAMPLES, NUM_FEATURES, NUM_VIEWS)
    places, views = np.asarray([7, 0, 7, 3]), np.asarray([2, 1, 0, 2])
    halves = features.halves(places, views)
    assert halves.dtype == np.float16
    np.testing.assert_array_equal(halves, rows[views, places])
    np.testing.assert_array_equal(features.rows(places, views), rows[views, places].astype(np.float32))
    np.testing.assert_array_equal(features.rows(places), rows[0, places])
    assert features.labels.tolist() == [0, 1, 2, 3, 0, 1, 2, 3, 0, 1]


@pytest.mark.parametrize("size", [3, 10, 99])
def test_pieces_are_the_clean_views_in_order(features: Features, rows: HalfRows, size: int) -> None:
    places, pieces = zip(*features.pieces(size), strict=True)
    assert [len(piece) for piece in pieces[:-1]] == [size] * (len(pieces) - 1)
    np.testing.assert_array_equal(np.concatenate(places), np.arange(NUM_EXAMPLES))
    np.testing.assert_array_equal(np.concatenate(pieces), rows[0])


def test_no_examples_have_no_rows(tmp_path: Path) -> None:
    store = ShardStore(tmp_path)
    features = Features((store, store), (), 1)
    assert (len(features), list(features.pieces())) == (0, [])


def test_the_folder_depends_on_everything_but_the_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert KEY.folder.parent == tmp_path / "features"
    assert replace(KEY, backbone="renamed").folder == KEY.folder
    others = (
        replace(KEY, weights_sha256="8" * 64),
        replace(KEY, image_size=13),
        replace(KEY, pooling="max"),
        replace(KEY, decode_version=2),
        replace(KEY, features="levels"),
        replace(KEY, fit="crop"),
        replace(KEY, fit="pad"),
    )
    assert len(fields(KEY)) == 1 + len(others) - 1  # two of them differ in the fit
    assert len({KEY.folder, *(other.folder for other in others)}) == 1 + len(others)


def test_the_features_of_the_last_layer_of_squashed_images_lie_where_they_lay_before_there_were_others() -> None:
    # The four values that identified a base then, as JSON with sorted names.
    values = '{"decode_version": 1, "image_size": 12, "pooling": "avg", "weights_sha256": "%s"}' % ("7" * 64)
    assert replace(KEY, image_size=12).folder.name == hashlib.sha256(values.encode()).hexdigest()[:16]


def test_a_digest_does_not_depend_on_the_order_of_names() -> None:
    assert digest({"a": 1, "b": [2]}) == digest({"b": [2], "a": 1}) != digest({"a": 1, "b": [3]})


def test_weights_are_hashed_by_content(tmp_path: Path) -> None:
    (tmp_path / "weights.h5").write_bytes(b"weights")
    assert weights_digest(tmp_path / "weights.h5") == hashlib.sha256(b"weights").hexdigest()
