"""What a training is going to do: its stages, the records of its names, and what is refused before an image is read."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.engines import gpu
from models.errors import UserError
from models.heads import HEADS
from models.zoo import BACKBONES
from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.stages import Stage
from pipelines.training.plan import class_weights, list_stages, look_up_names, switches_of
from tests.specs import train_spec


@pytest.fixture
def weights(tmp_path: Path) -> str:
    """A file in the place of weights: the plan does not read it."""
    path = tmp_path / "weights.h5"
    path.write_bytes(b"\x89HDF\r\n\x1a\n")
    return str(path)


def test_the_gpu_engine_without_a_gpu_is_refused(weights: str) -> None:
    if gpu.precisions():
        pytest.skip("there is a GPU")
    with pytest.raises(UserError, match="no GPU for the engine `gpu`") as caught:
        look_up_names(train_spec(backbone="mobilenet_v2", weights=weights, engine="gpu"))
    assert "--engine auto" in caught.value.hint


def test_an_engine_that_is_not_installed_is_refused(weights: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    with pytest.raises(UserError, match="`openvino` is not installed"):
        look_up_names(train_spec(backbone="mobilenet_v2", weights=weights, engine="openvino"))


@pytest.mark.parametrize("options", [{"backbone": "mobilenet_v2", "cache": False}, {"backbone": "small_cnn"}])
def test_an_engine_does_not_matter_where_no_features_are_extracted(
    options: dict[str, Any], weights: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    of_backbone = "none" if options["backbone"] == "small_cnn" else weights
    names = look_up_names(train_spec(weights=of_backbone, engine="openvino", **options))
    assert names.source.name == options["backbone"]


def test_a_head_is_trained_first_and_then_the_blocks_at_a_tenth_of_the_rate() -> None:
    (head,) = list_stages(train_spec(), is_untrained=False)
    assert head == Stage(name="head", unfreeze="none", epochs=60, learning_rate=1e-3)
    spec = train_spec(fine_tune="2", learning_rate=0.5, epochs=7)
    assert list_stages(spec, is_untrained=False) == (
        Stage(name="head", unfreeze="none", epochs=7, learning_rate=0.5),
        Stage(name="fine-tune", unfreeze="2", epochs=7, learning_rate=0.05),
    )
    assert list_stages(train_spec(fine_tune="all"), is_untrained=False)[1].epochs == 15


def test_a_network_without_weights_is_trained_whole() -> None:
    assert list_stages(train_spec(), is_untrained=True) == (
        Stage(name="from scratch", unfreeze="all", epochs=40, learning_rate=1e-3),
    )


def test_class_weights_make_every_class_count_alike() -> None:
    labels = [0, 0, 0, 1, 2, 2]
    examples = tuple(Example(path="", label=label, split="train", sha256="", source="") for label in labels)
    other = Example(path="", label=1, split="validation", sha256="", source="")
    dataset = Dataset(root="", origin="folders", class_names=("a", "b", "c"), examples=(*examples, other))
    weights = class_weights(dataset, "auto")
    assert weights is not None
    counts = np.bincount(labels)
    np.testing.assert_allclose(weights * counts, len(labels) / 3, rtol=1e-6)
    assert weights[labels].mean() == pytest.approx(1)
    assert class_weights(dataset, "none") is None


def test_names_become_the_records_that_the_stages_read() -> None:
    spec = train_spec(backbone="small_cnn", weights="none", head="mlp", hidden=7, augment="light", no_flip=True)
    names = look_up_names(spec)
    assert names.head == replace(HEADS["mlp"], hidden=7)
    assert (names.source.backbone, names.source.is_untrained) == (BACKBONES["small_cnn"], True)
    assert names.policy.steps != find_policy("light").steps
    assert switches_of(spec.data) == Switches(no_flip=True)
    assert look_up_names(train_spec(backbone="small_cnn", weights="none")).head == HEADS["linear"]


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"head": "liner"}, "unknown head: `liner`"),
        ({"hidden": 5}, "the head `linear` has no hidden layer"),
        ({"fine_tune": "1"}, "nothing to fine-tune"),
        ({"views": 4}, "need an augmentation policy"),
        ({"augment": "lihgt"}, "lihgt"),
        ({"engine": "tensorflw"}, "unknown engine: `tensorflw`"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    with pytest.raises(UserError) as caught:
        look_up_names(train_spec(backbone="small_cnn", weights="none", **options))
    assert words in caught.value.message
    assert caught.value.hint


def test_layerwise_is_refused_for_a_pretrained_network(weights: str) -> None:
    with pytest.raises(UserError, match="is pretrained: --layerwise is for networks that are trained from scratch"):
        look_up_names(train_spec(backbone="vgg16", weights=weights, layerwise=True))


@pytest.mark.parametrize("options", [{"augment": "light"}, {"rotate90": True}])
def test_several_views_need_only_one_step_of_augmentation(options: dict[str, Any]) -> None:
    assert look_up_names(train_spec(backbone="small_cnn", weights="none", views=4, **options)).policy.steps


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"cache": False}, "needs cached features"),
        ({"weights": "none"}, "starts from random weights"),
        ({"backbone": "lenet5"}, "starts from random weights"),
        ({"pooling": "max"}, "`--pooling max` does not go with it"),
    ],
)
def test_levels_are_refused_where_they_cannot_be(options: dict[str, Any], words: str, weights: str) -> None:
    fitting: dict[str, Any] = {"backbone": "mobilenet_v2", "weights": weights, "features": "levels"}
    look_up_names(train_spec(**fitting))
    asked = fitting | ({"weights": "none"} if "backbone" in options else {}) | options
    with pytest.raises(UserError) as caught:
        look_up_names(train_spec(**asked))
    assert words in caught.value.message
    assert caught.value.hint
    look_up_names(train_spec(**asked | {"features": "last"}))
