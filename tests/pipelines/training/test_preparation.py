"""A training is prepared in a thread while its images are checked; its errors come where they would without one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest

from models.errors import UserError
from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.images.policies import find_policy
from pipelines.system.progress import Silent
from pipelines.training.backbone import BackboneSource, LazyBackbone
from pipelines.training.plan import TrainingNames, switches_of
from pipelines.training.preparation import preparing
from tests.specs import train_spec

SPEC = train_spec(data="drawn", out="run")


def names_of(weights: str) -> TrainingNames:
    source = BackboneSource(name="small_cnn", backbone=BACKBONES["small_cnn"], weights=weights)
    return TrainingNames(head=HEADS["linear"], source=source, policy=find_policy("none", switches_of(SPEC.data)))


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file of weights of the small network."""
    from models.backbones import build_backbone

    path = tmp_path / "small.weights.h5"
    build_backbone(BACKBONES["small_cnn"], weights="none").save_weights(path)
    return str(path)


@pytest.fixture
def build_with(monkeypatch: pytest.MonkeyPatch) -> Callable[[Callable[[], keras.Model]], None]:
    """Let `build`, which takes no arguments, stand for building a backbone."""

    def let(build: Callable[[], keras.Model]) -> None:
        monkeypatch.setattr(BackboneSource, "build", lambda source, size: build())

    return let


def test_the_backbone_that_is_built_ahead_is_the_one_that_is_used(weights: str) -> None:
    plain = names_of(weights).source.build(None)
    with preparing(names_of(weights), SPEC, Silent()) as names:
        pass
    lazy = LazyBackbone(names.source, network=SPEC.network, pooling="avg")
    assert names.source.ahead is not None and lazy.model is names.source.ahead.result()
    pixels = np.random.default_rng(0).uniform(0, 255, (2, *plain.input_shape[1:])).astype(np.float32)
    np.testing.assert_array_equal(lazy.model(pixels, training=False), plain(pixels, training=False))
    assert not any(layer.trainable for layer in lazy.model.layers)


def test_the_block_runs_while_the_backbone_is_built(build_with: Callable[..., None]) -> None:
    met = threading.Barrier(2)

    def build() -> keras.Model:
        met.wait(20)
        return keras.Sequential()

    build_with(build)
    with preparing(names_of("imagenet"), SPEC, Silent()):
        met.wait(20)  # It breaks, and the test fails, where one waits for the other.


def test_an_error_of_the_block_does_not_wait_for_the_backbone(build_with: Callable[..., None]) -> None:
    is_over = threading.Event()

    def build() -> keras.Model:
        is_over.wait(60)
        return keras.Sequential()

    build_with(build)
    with pytest.raises(UserError, match="no readable image"), preparing(names_of("imagenet"), SPEC, Silent()):
        raise UserError("no readable image", "add one")
    assert not is_over.is_set() and any(thread.name == "prepare" for thread in threading.enumerate())
    is_over.set()


def test_an_error_of_building_is_raised_where_the_backbone_is_used(tmp_path: Path) -> None:
    (tmp_path / "text.weights.h5").write_text("not weights")
    with preparing(names_of(str(tmp_path / "text.weights.h5")), SPEC, Silent()) as names:
        pass
    with pytest.raises(UserError, match=r"text\.weights\.h5"):
        names.source.build(None)


def test_what_is_trained_otherwise_is_not_built_ahead(weights: str) -> None:
    """Without cached features, a network may be wanted in another precision, and from scratch by another seed."""
    on_pixels = replace(SPEC, data=replace(SPEC.data, cache=False))
    for given, spec in ((names_of("none"), SPEC), (names_of(weights), on_pixels)):
        with preparing(given, spec, Silent()) as names:
            assert names.source.ahead is None
