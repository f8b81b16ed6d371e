"""Training from random weights: the classics' own recipes, auxiliary classifiers, and greedy layer-wise training."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.backbones import build_backbone
from models.classifier import build_classifier
from models.errors import UserError
from models.heads import HEADS, build_head
from models.zoo import BACKBONES
from pipelines.images.policies import POLICIES, find_policy
from pipelines.inference.test_time import require_views
from pipelines.system.progress import Silent
from pipelines.training.backbone import BackboneSource
from pipelines.training.from_scratch import (
    train_from_scratch,
    train_layerwise,
    unpublished_line,
    with_auxiliaries,
    with_published_recipe,
)
from pipelines.training.plan import TrainingNames, TrainingPlan
from tests.pipelines.training.prepared import draw_dataset
from tests.specs import train_spec, with_options


@pytest.fixture
def plan(tmp_path: Path) -> TrainingPlan:
    (tmp_path / "run" / "state").mkdir(parents=True)
    keras.utils.set_random_seed(0)
    return TrainingPlan(
        spec=train_spec(data="drawn", out="run", backbone="small_cnn", weights="none", epochs=6, batch=16),
        names=TrainingNames(
            head=HEADS["linear"],
            source=BackboneSource(name="small_cnn", backbone=BACKBONES["small_cnn"], weights="none"),
            policy=POLICIES["none"],
        ),
        dataset=draw_dataset(tmp_path, {"train": 16, "validation": 4}),
        folder=tmp_path / "run",
        reporter=Silent(),
    )


def test_a_classic_is_trained_by_its_published_recipe_unless_told_otherwise() -> None:
    spec = train_spec(data="", out="")
    alexnet = with_published_recipe(spec, BACKBONES["alexnet"]).fit
    assert (alexnet.rule, alexnet.batch_size, alexnet.learning_rate, alexnet.weight_decay) == ("sgd", 128, 1e-2, 5e-4)
    given = with_options(spec, optimizer="adam", batch=8, learning_rate=1e-4, weight_decay=0.0, dropout=0.2)
    assert with_published_recipe(given, BACKBONES["alexnet"]) == given
    resnet = with_published_recipe(spec, BACKBONES["resnet50"]).fit
    assert (resnet.rule, resnet.batch_size, resnet.weight_decay) == ("adam", 32, None)
    assert with_published_recipe(spec, None) == spec


def test_a_training_says_which_views_of_the_images_the_paper_adds(plan: TrainingPlan) -> None:
    source = BackboneSource(name="alexnet", backbone=BACKBONES["alexnet"], weights="none")
    names = replace(plan.names, source=source)
    line = unpublished_line(replace(plan, names=names))
    assert "--augment alexnet" in line and "--tta crop10" in line
    require_views("crop10")
    assert find_policy("alexnet").steps
    assert unpublished_line(replace(plan, names=replace(names, policy=POLICIES["alexnet"]))) == ""
    assert unpublished_line(plan) == ""


def test_googlenet_is_trained_with_auxiliary_classifiers_that_are_dropped_afterwards(plan: TrainingPlan) -> None:
    backbone = build_backbone(BACKBONES["googlenet"], weights="none", image_size=64)
    head = build_head(HEADS["linear"], num_features=int(backbone.output_shape[-1]), num_classes=3)
    model = build_classifier(backbone, head)
    source = BackboneSource(name="googlenet", backbone=BACKBONES["googlenet"], weights="none")
    trained = with_auxiliaries(replace(plan, names=replace(plan.names, source=source)), model)
    assert len(trained.outputs) == 3 and len(model.outputs) == 1
    of_model = {id(weight) for weight in model.weights}
    assert of_model < {id(weight) for weight in trained.weights}
    assert with_auxiliaries(plan, model) is model


def test_layerwise_each_block_is_trained_alone_under_its_own_head(plan: TrainingPlan) -> None:
    backbone = build_backbone(BACKBONES["small_cnn"], weights="none", image_size=32)
    head = build_head(HEADS["linear"], num_features=int(backbone.output_shape[-1]), num_classes=3)
    model = build_classifier(backbone, head)
    seen: list[dict[str, Any]] = []

    class Watching(Silent):
        def task(self, name: str, total: int | None) -> Any:
            if name.startswith("layer-wise"):  # not that of the images, which are read before the first block
                seen.append({"name": name, "weights": [np.array(weight) for weight in model.get_weights()]})
            return super().task(name, total)

    stages = train_layerwise(replace(plan, reporter=Watching()), model)
    assert [stage.label for stage, _ in stages] == ["layer-wise block1", "layer-wise block2", "layer-wise block3"]
    assert [progress.epoch for _, progress in stages] == [2, 2, 2]
    paths = [weight.path for weight in model.weights]
    states = [entry["weights"] for entry in seen] + [[np.array(weight) for weight in model.get_weights()]]
    for place, block in enumerate(("block1", "block2", "block3")):
        pairs = zip(paths, states[place], states[place + 1], strict=True)
        moved = {path for path, before, after in pairs if not np.array_equal(before, after)}
        assert moved and all(path.startswith(block) for path in moved), (block, moved)
    assert sorted(path.name for path in plan.state.glob("*.npz")) == [f"layer-wise-block{n}.npz" for n in (1, 2, 3)]


def test_the_whole_network_is_trained_after_its_blocks_and_the_history_has_all_stages(plan: TrainingPlan) -> None:
    result = train_from_scratch(replace(plan, spec=with_options(plan.spec, layerwise=True, epochs=3)))
    names = [stage.name for stage in result.stages]
    assert names == ["layer-wise block1", "layer-wise block2", "layer-wise block3", "from scratch"]
    assert len(result.history) == sum(stage.epochs for stage in result.stages) == 3 + 3
    assert result.predictions["validation"][0].shape == (12, 3)


def test_a_network_whose_blocks_do_not_form_a_line_is_refused(plan: TrainingPlan) -> None:
    backbone = build_backbone(BACKBONES["nasnet_mobile"], weights="none", image_size=32)
    head = build_head(HEADS["linear"], num_features=int(backbone.output_shape[-1]), num_classes=3)
    with pytest.raises(UserError, match="single line"):
        train_layerwise(plan, build_classifier(backbone, head))
