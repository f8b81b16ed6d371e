"""run.json says how each stage was really trained, where the user left it open too."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import keras
import pytest

from models.heads import HEADS, build_head, dropout_of
from models.zoo import BACKBONES
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.training_records import StageRecipe
from pipelines.training.fine_tune import fine_tune
from pipelines.training.from_scratch import with_published_recipe
from pipelines.training.pixel_stage import recipe_of
from pipelines.training.plan import list_stages
from pipelines.training.stage_recipe import recipe_of_network
from tests.pipelines.new_heads import spec_on
from tests.pipelines.training.prepared import Prepare
from tests.specs import with_options

Draw = Callable[..., Path]


def test_fine_tuning_states_what_its_options_say_of_their_defaults(prepared: Prepare) -> None:
    plan, frozen = prepared(head="mlp", fine_tune="1", learning_rate=0.5, epochs=1, batch=8, optimizer="adamw")
    (stage,) = fine_tune(plan, frozen).stages
    assert stage.recipe == StageRecipe(
        optimizer="adamw",
        learning_rate=0.05,  # a tenth of the head's
        schedule="cosine",
        epochs=1,
        patience=8,
        batch=8,
        weight_decay=1e-4,  # AdamW's own here
        dropout=0.0,
        warm_up=1.0,
        layer_decay=0.8,
        clip=1.0,
        precision="float32",
        augment="none",
        views=1,
        class_weights="none",
        seed=0,
    )


def test_alexnet_from_scratch_states_the_recipe_of_its_paper(prepared: Prepare) -> None:
    # Krizhevsky et al. (2012), section 5: batches of 128, momentum, weight decay 0.0005, rate 0.01.
    plan, _ = prepared()
    spec = with_published_recipe(with_options(plan.spec, batch=None, epochs=None), BACKBONES["alexnet"])
    head = build_head(HEADS["linear"], num_features=4, num_classes=3, dropout=spec.head.dropout)
    (stage,) = list_stages(spec, is_untrained=True)
    recipe = recipe_of_network(replace(plan, spec=spec), stage, recipe_of(spec), dropout=dropout_of(head))
    stated = (recipe.optimizer, recipe.learning_rate, recipe.batch, recipe.weight_decay)
    assert stated == ("sgd", 0.01, 128, 5e-4)
    assert recipe.views is None and recipe.momentum == 0.9
    other = with_options(spec, momentum=0.5)
    assert recipe_of_network(plan, stage, recipe_of(other), dropout=0.0).momentum == 0.5


@pytest.mark.parametrize("rate", [0.0, 0.25])
def test_the_dropout_of_a_head_is_the_one_in_its_layers(rate: float) -> None:
    head = build_head(HEADS["mlp"], num_features=4, num_classes=3, dropout=rate)
    assert dropout_of(head) == sum(layer.rate for layer in head.layers if isinstance(layer, keras.layers.Dropout))


def test_a_network_and_a_bank_state_rates_that_they_were_trained_with(
    drawn: Path, image_folder: Draw, tmp_path: Path
) -> None:
    from pipelines.train import train

    (stage,) = read_manifest(drawn / "one").stages
    assert stage.recipe is not None
    first_row = (drawn / "one" / "history.csv").read_text().splitlines()[:2]
    history = dict(zip(first_row[0].split(","), first_row[1].split(","), strict=True))
    assert stage.recipe.learning_rate == pytest.approx(float(history["learning_rate"]))
    data = image_folder("bank", per_class=8, seed=13)
    (head,) = train(spec_on(drawn, data, tmp_path / "run", epochs=3)).stages
    assert head.recipe is not None
    assert head.chosen is not None
    tried = (head.chosen.learning_rate, head.chosen.l2, head.chosen.dropout)
    assert (head.recipe.learning_rate, head.recipe.l2, head.recipe.dropout) == tried
    # Read back from run.json as it was written.
    assert read_manifest(tmp_path / "run").stages == (head,)
