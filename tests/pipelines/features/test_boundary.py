"""Activations at a boundary are kept below a limit, and come back in batches as the network gave them."""

from __future__ import annotations

import hashlib
import os
from dataclasses import replace
from pathlib import Path
from typing import get_args

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.features import boundary as boundaries
from pipelines.features.boundary import (
    Boundary,
    activation_limit,
    boundary_batches,
    draw_epoch,
    flattened,
    make_room,
)
from pipelines.features.cached import Features
from pipelines.features.shards import ShardStore, key
from pipelines.runs.examples import Example
from pipelines.runs.square import Fit

SHAPE = (2, 2, 8)
NUM_EXAMPLES = 7
# (views, examples, values)
ROWS = np.random.default_rng(0).normal(size=(2, NUM_EXAMPLES, 32)).astype(np.float16)


@pytest.fixture(autouse=True)
def _cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))


def boundary_at(layer: str, *, pooling: str = "none") -> Boundary:
    return Boundary(
        backbone="x",
        weights_sha256="0",
        image_size=8,
        pooling=pooling,
        decode_version=1,
        layer=layer,
        shape=SHAPE,
    )


@pytest.fixture
def activations(tmp_path: Path) -> Features:
    """Seven examples of three classes in two views."""
    examples = [
        Example(path="", label=number % 3, split="train", sha256=f"{number:064x}", source="")
        for number in range(NUM_EXAMPLES)
    ]
    stores = ShardStore(tmp_path / "clean"), ShardStore(tmp_path / "augmented")
    for view, store in enumerate(stores):
        store.add([key(example.sha256, view) for example in examples], ROWS[view])
    return Features(stores, examples, 2)


def test_activations_of_another_fit_lie_elsewhere_and_those_of_squashed_images_where_they_lay() -> None:
    squashed = boundary_at("conv")
    folders = {replace(squashed, fit=fit).folder for fit in get_args(Fit)}
    assert len(folders) == 3
    # The five values that identified a boundary before, as JSON with sorted names.
    values = '{"decode_version": 1, "image_size": 8, "layer": "conv", "shape": [2, 2, 8], "weights_sha256": "0"}'
    assert squashed.folder.name == hashlib.sha256(values.encode()).hexdigest()[:16]


def test_room_is_made_by_deleting_the_least_recently_used() -> None:
    rows = np.zeros((100, 32), np.float16)
    for age, layer in enumerate(("new", "old", "mine")):
        store = ShardStore(boundary_at(layer).folder / "clean")
        store.add([key(f"{number:064x}", 0) for number in range(100)], rows)
        for path in store.folder.glob("*.npy"):
            os.utime(path, (1e9 - age, 1e9 - age))
    size = next((boundary_at("new").folder / "clean").glob("*.npy")).stat().st_size
    make_room(boundary_at("mine"), size, 2 * size + 10)
    left = {layer: bool(list(boundary_at(layer).folder.rglob("*.npy"))) for layer in ("new", "old", "mine")}
    assert left == {"new": True, "old": False, "mine": True}


def test_shards_of_the_old_format_make_room_too() -> None:
    folder = boundary_at("old").folder / "clean"
    folder.mkdir(parents=True)
    (folder / "1-2.shard").write_bytes(bytes(1000))
    make_room(boundary_at("mine"), 10, 1010)
    assert list(folder.iterdir()) != []
    make_room(boundary_at("mine"), 11, 1010)
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("text", ["much", "-1", "nan", "inf"])
def test_a_limit_that_is_not_a_size_is_an_error(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("HEADSTART_BOUNDARY_LIMIT", text)
    with pytest.raises(UserError, match=f"`{text}`"):
        activation_limit()


def test_the_limit_is_the_variable_or_a_fifth_of_the_free_space_up_to_10_gb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HEADSTART_BOUNDARY_LIMIT", "0.5")
    assert activation_limit() == 500_000_000
    monkeypatch.delenv("HEADSTART_BOUNDARY_LIMIT")
    monkeypatch.setattr(boundaries, "_free_bytes", lambda: 1e9)
    assert activation_limit() == 200_000_000
    monkeypatch.setattr(boundaries, "_free_bytes", lambda: 1e12)
    assert activation_limit() == 10_000_000_000


def test_a_boundary_is_a_place_in_a_base_whatever_its_pooling() -> None:
    at_one = boundary_at("block1")
    assert at_one.row_bytes == 2 * 2 * 8 * 2
    assert boundary_at("block1", pooling="max").folder == at_one.folder
    assert boundary_at("block2").folder != at_one.folder


def test_activations_are_flattened_row_by_row() -> None:
    pixels = keras.Input((6, 6, 3))
    lower = keras.Model(pixels, keras.layers.Conv2D(8, 3, strides=2)(pixels))
    images = np.random.default_rng(1).uniform(0, 255, (4, 6, 6, 3)).astype(np.float32)
    rows = np.asarray(flattened(lower)(images))
    np.testing.assert_allclose(rows, np.asarray(lower(images)).reshape(4, -1), rtol=1e-5)


def test_batches_come_in_order_with_their_labels_and_unit_weights(activations: Features) -> None:
    batches = list(boundary_batches(activations, SHAPE, batch=3))
    assert [len(labels) for _, labels, _ in batches] == [3, 3, 1]
    pixels, labels, weights = (np.concatenate([np.asarray(batch[column]) for batch in batches]) for column in range(3))
    assert [str(column.dtype) for column in (pixels, labels, weights)] == ["float16", "int32", "float32"]
    np.testing.assert_array_equal(pixels, ROWS[0].reshape(-1, *SHAPE))
    assert labels.tolist() == [0, 1, 2, 0, 1, 2, 0]
    assert weights.tolist() == [1.0] * NUM_EXAMPLES


def test_an_epoch_has_its_order_views_and_class_weights(activations: Features) -> None:
    order, views = draw_epoch(activations, seed=1, epoch=2)
    class_weights = np.asarray([0.5, 1.0, 2.0], np.float32)
    batches = list(boundary_batches(activations, SHAPE, batch=4, order=order, views=views, class_weights=class_weights))
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(pixels) for pixels, _, _ in batches]).reshape(NUM_EXAMPLES, -1), ROWS[views, order]
    )
    np.testing.assert_array_equal(
        np.concatenate([np.asarray(weights) for _, _, weights in batches]), class_weights[order % 3]
    )


def test_an_epoch_is_drawn_by_its_seed_and_number(activations: Features) -> None:
    order, views = draw_epoch(activations, seed=1, epoch=2)
    assert sorted(order) == list(range(NUM_EXAMPLES))
    assert set(views.tolist()) <= {0, 1}
    again = draw_epoch(activations, seed=1, epoch=2)
    np.testing.assert_array_equal([order, views], again)
    for seed, epoch in ((1, 3), (2, 2)):
        assert not np.array_equal([order, views], draw_epoch(activations, seed=seed, epoch=epoch))
