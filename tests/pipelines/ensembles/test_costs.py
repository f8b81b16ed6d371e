"""A member costs the time and size of its backbones, once for all that share one, and the size of its heads."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pytest
from keras import layers

from pipelines.ensembles.costs import base_key, list_costs, megabytes, models_to_time, time_of
from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.selection import Cost
from pipelines.ensembles.timing import Timing
from pipelines.runs.manifest import BackboneRecord, HeadRecord, Manifest
from tests.pipelines.manifests import manifest_with

HEAD_PARAMETERS = (4 + 1) * 1000


def classifier(side: int = 2) -> keras.Model:
    """A base of one layer and a head of 5000 parameters."""
    pixels = keras.Input((side, side, 4))
    features = layers.GlobalAveragePooling2D()(pixels)
    return keras.Model(pixels, layers.Dense(1000, activation="softmax", name="head")(features))


def manifest(weights: str | None, image_size: int = 32, pooling: str = "avg", features: str = "last") -> Manifest:
    backbone = BackboneRecord(name="net", weights="imagenet", parameters=7, weights_sha256=weights)
    head = HeadRecord(name="linear", pooling=pooling, features=features)
    return manifest_with(backbone=backbone, image_size=image_size, head=head)


def member(folder: Path, weights: str | None, size: int = 100_000) -> LoadedMember:
    """A member whose file has a size, in bytes."""
    folder.mkdir(exist_ok=True)
    (folder / "model.keras").write_bytes(bytes(size))
    return LoadedMember(
        name=folder.name,
        folder=folder,
        manifest=manifest(weights),
        model=classifier(),
        columns=(0, 1),
        fold=None,
        test=np.zeros((0, 2)),
    )


def predictions(name: str, *models: LoadedMember) -> MemberPredictions:
    return MemberPredictions(name=name, models=models, probabilities=np.zeros((0, 2)))


def costs_of(*members: MemberPredictions) -> list[Cost]:
    """With bases that take 1 ms, 10 ms, 100 ms and so on, in the order of the members."""
    keys = models_to_time(members)
    return list_costs(members, {key: Timing(rounds=np.array([10.0**place])) for place, key in enumerate(keys)})


def test_members_on_one_base_share_its_time_and_key(tmp_path: Path) -> None:
    models = [member(tmp_path / name, weights) for name, weights in [("a", "one"), ("b", "two"), ("c", "one")]]
    members = [predictions(model.name, model) for model in models]
    one, other, third = costs_of(*members)
    assert list(models_to_time(members).values()) == [models[0].model, models[1].model]
    assert [cost.backbone_ms for cost in (one, other, third)] == [1, 10, 1]
    assert one.backbone == third.backbone != other.backbone


def test_the_size_of_a_member_is_that_of_its_file_and_the_part_of_its_head_is_four_bytes_a_weight(
    tmp_path: Path,
) -> None:
    (cost,) = costs_of(predictions("a", member(tmp_path / "a", "one")))
    assert cost.head_mb == pytest.approx(4 * HEAD_PARAMETERS / 1e6)
    assert cost.backbone_mb + cost.head_mb == pytest.approx(0.1)
    assert cost.backbone_ms == 1


def test_a_model_without_a_head_is_all_backbone(tmp_path: Path) -> None:
    whole = keras.Sequential([keras.Input((2, 2, 4)), layers.Flatten(), layers.Dense(2)])
    (cost,) = costs_of(predictions("a", replace(member(tmp_path / "a", None), model=whole)))
    assert cost.head_mb == 0
    assert cost.backbone_mb == pytest.approx(0.1)


def test_folds_on_one_base_cost_it_once_and_each_head(tmp_path: Path) -> None:
    folds = [member(tmp_path / name, "one") for name in "abc"]
    (cost,) = costs_of(predictions("group", *folds))
    assert cost.backbone_ms == 1
    assert cost.head_mb == pytest.approx(3 * 0.02)
    assert cost.backbone_mb == pytest.approx(0.1 - 0.02)


def test_folds_that_were_trained_whole_cost_their_sum(tmp_path: Path) -> None:
    folds = [member(tmp_path / name, None) for name in "abc"]
    (cost,) = costs_of(predictions("group", *folds))
    assert cost.backbone == "group"
    assert cost.backbone_ms == 1 + 10 + 100
    assert cost.backbone_mb == pytest.approx(3 * (0.1 - 0.02))


def test_a_frozen_base_is_its_weights_its_image_size_its_pooling_and_its_layers(tmp_path: Path) -> None:
    one, other = member(tmp_path / "a", "one"), member(tmp_path / "b", "one")
    assert base_key(one) == base_key(other)
    variants = [
        manifest("two"),
        manifest("one", image_size=64),
        manifest("one", pooling="max"),
        manifest("one", features="levels"),
        manifest(None),
    ]
    keys = {base_key(replace(one, manifest=variant)) for variant in variants}
    assert len(keys | {base_key(one)}) == 1 + len(variants)


def test_members_whose_weights_are_those_of_no_file_share_no_base(tmp_path: Path) -> None:
    assert base_key(member(tmp_path / "a", None)) != base_key(member(tmp_path / "b", None))


def test_a_model_in_two_files_has_the_size_of_both(tmp_path: Path) -> None:
    whole = member(tmp_path / "a", "one", size=1_500_000)
    assert megabytes(whole) == 1.5
    (tmp_path / "base.keras").write_bytes(bytes(2_000_000))
    (tmp_path / "a" / "head.keras").write_bytes(bytes(250_000))
    backbone = replace(whole.manifest.backbone, file="../base.keras")
    shared = replace(whole, manifest=replace(whole.manifest, backbone=backbone))
    assert megabytes(shared) == 2.25


def test_the_time_of_a_group_is_that_of_its_bases_in_each_round(tmp_path: Path) -> None:
    one, other, again = (member(tmp_path / name, weights) for name, weights in [("a", "x"), ("b", "y"), ("c", "x")])
    times = {
        base_key(one): Timing(rounds=np.array([1.0, 2.0, 9.0])),
        base_key(other): Timing(rounds=np.array([5.0, 3.0, 4.0])),
    }
    np.testing.assert_array_equal(time_of(predictions("group", one, other, again), times).rounds, [6, 5, 13])


def test_without_a_limit_nothing_has_to_be_timed(tmp_path: Path) -> None:
    (cost,) = list_costs([predictions("a", member(tmp_path / "a", "one"))], None)
    assert cost.backbone_ms == 0.0
    assert cost.backbone_mb > 0
