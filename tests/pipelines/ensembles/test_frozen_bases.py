"""The recorded layers of a joined model give the features of the members' frozen bases; nothing else is recorded."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from models.classifier import build_classifier
from models.ensemble import combine
from models.heads import HEADS, build_head
from models.levels import add_levels
from pipelines.ensembles.frozen_bases import record_bases
from pipelines.ensembles.member_predictions import LoadedMember
from pipelines.runs.manifest import BackboneRecord, HeadRecord, RunRequest
from pipelines.runs.spec import DataSpec, NetworkSpec, TrainSpec
from tests.pipelines.manifests import manifest_with

FEATURES = 3


def backbone(seed: int, size: int) -> keras.Model:
    keras.utils.set_random_seed(seed)
    pixels = keras.Input((size, size, 3))
    return keras.Model(pixels, layers.Conv2D(FEATURES, 3)(pixels), name="backbone")


def member(
    seed: int, pooling: str = "avg", size: int = 8, *, weights: bool = True, head: keras.Model | None = None
) -> LoadedMember:
    """A member on the base of this seed."""
    head = head or build_head(HEADS["linear"], num_features=FEATURES, num_classes=2)
    record = BackboneRecord(
        name=f"net{seed}", weights="file", parameters=1, weights_sha256=f"sha{seed}" if weights else None
    )
    manifest = manifest_with(image_size=size, backbone=record, head=HeadRecord(name="linear", pooling=pooling))
    return LoadedMember(
        name="member",
        folder=Path("nowhere"),
        manifest=manifest,
        model=build_classifier(backbone(seed, size), head, pooling=pooling),  # type: ignore[arg-type]  # a literal
        columns=(0, 1),
        fold=None,
        test=np.zeros((0, 2)),
    )


def joined(members: list[LoadedMember]) -> keras.Model:
    return combine([member.model for member in members])


def test_the_recorded_layers_give_the_features_of_the_members() -> None:
    members = [member(1), member(2), member(1, "max"), member(1), member(2, "max")]
    model = joined(members)
    bases = record_bases(members, model)
    assert [(base.backbone, base.weights_sha256, base.pooling) for base in bases] == [
        ("net1", "sha1", "avg"),
        ("net2", "sha2", "avg"),
        ("net1", "sha1", "max"),
        ("net2", "sha2", "max"),
    ]
    pixels = np.random.default_rng(0).uniform(0, 255, (4, 8, 8, 3)).astype(np.float32)
    for base, seed in zip(bases, (1, 2, 1, 2), strict=True):
        maps = np.asarray(backbone(seed, 8)(pixels))
        np.testing.assert_allclose(model.get_layer(base.backbone_layer)(pixels), maps, rtol=1e-5, atol=1e-4)
        to_features = keras.Model(model.inputs[0], model.get_layer(base.pooling_layer).output)
        expected = maps.mean((1, 2)) if base.pooling == "avg" else maps.max((1, 2))
        np.testing.assert_allclose(to_features(pixels), expected, rtol=1e-4, atol=1e-4)


def test_one_backbone_at_two_image_sizes_is_two_bases() -> None:
    members = [member(1), member(1, size=12)]
    bases = record_bases(members, joined(members))
    assert [(base.image_size, base.backbone_layer, base.pooling_layer) for base in bases] == [
        (8, "backbone_1", "pooling_1"),
        (12, "backbone_2", "pooling_2"),
    ]


def test_the_last_layer_and_the_levels_of_one_backbone_are_two_bases() -> None:
    keras.utils.set_random_seed(1)
    pixels = keras.Input((8, 8, 3))
    lower = layers.Conv2D(2, 3, activation="relu", name="block1_conv1")(pixels)
    last = keras.Model(pixels, layers.Conv2D(FEATURES, 3)(lower), name="backbone")
    levels, one = add_levels(last), member(1)
    of_levels, of_last = (
        replace(
            one,
            model=build_classifier(base, build_head(HEADS["linear"], num_features=width, num_classes=2)),
            manifest=replace(one.manifest, head=replace(one.manifest.head, features=features)),
        )
        for base, width, features in ((levels, FEATURES + 2, "levels"), (last, FEATURES, "last"))
    )
    model = joined([of_levels, of_last, of_levels])
    bases = record_bases([of_levels, of_last, of_levels], model)
    assert [(base.features, base.backbone_layer, base.pooling_layer) for base in bases] == [
        ("levels", "backbone_1", "pooling_1"),
        ("last", "backbone_2", "pooling_2"),
    ]
    assert model.get_layer("backbone_1").output_shape[-1] == FEATURES + 2


def test_the_engine_that_was_asked_for_is_recorded() -> None:
    one = member(1)
    spec = RunRequest(train=TrainSpec(data=DataSpec(path="photos"), out="run", network=NetworkSpec(engine="keras")))
    members = [replace(one, manifest=replace(one.manifest, spec=spec)), member(2)]
    assert [base.engine for base in record_bases(members, joined(members))] == ["keras", "auto"]


def test_no_base_is_recorded_where_one_member_has_weights_of_its_own() -> None:
    members = [member(1), member(2, weights=False)]
    assert record_bases(members, joined(members)) == ()


def test_no_base_is_recorded_where_the_model_has_other_bases() -> None:
    members = [member(1), member(2)]
    assert record_bases(members, joined(members[:1])) == ()
    assert record_bases(members[:1], joined(members)) == ()


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_no_base_is_recorded_where_a_member_sees_the_pixels_otherwise(activation: str) -> None:
    # A head that cannot be fused with others is joined as a whole, with its backbone.
    head = keras.Sequential([keras.Input((FEATURES,)), layers.Dense(2, activation=activation)], name="head")
    members = [member(1), member(1, head=head)]
    assert bool(record_bases(members, joined(members))) == (activation == "softmax")
