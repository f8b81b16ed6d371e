"""What one member leaves for the next: hyperparameters, and the predictions that boosting goes by."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import UserError
from models.heads import HEADS, Candidate
from models.zoo import BACKBONES
from pipelines.images.policies import POLICIES
from pipelines.members.boosting import BoostingEnds
from pipelines.members.hyperparameters import SEARCHED_HIDDEN, SharedHyperparameters
from pipelines.members.spec import list_members
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.examples import Dataset
from pipelines.runs.manifest import ChosenHead
from pipelines.system.progress import Silent
from pipelines.training.backbone import BackboneSource
from pipelines.training.plan import TrainingNames, TrainingPlan
from tests.specs import train_spec

CHOSEN = ChosenHead(l2=0.03, learning_rate=0.001, dropout=0.5, seed=0)
LABELS = np.array([0, 1, 2, 0], np.int32)


def spec_of(**options: Any) -> MembersSpec:  # of MembersSpec, of as many types
    values = {"backbones": ("vgg16",), "heads": ("linear", "mlp"), "seeds": 3, **options}
    return MembersSpec(common=train_spec(heads=8), **values)


def plan_of(spec: MembersSpec, head: str) -> TrainingPlan:
    source = BackboneSource(name="vgg16", backbone=BACKBONES["vgg16"], weights="none")
    return TrainingPlan(
        spec=spec.common,
        names=TrainingNames(head=HEADS[head], source=source, policy=POLICIES["none"]),
        dataset=Dataset(root="", origin="folders", class_names=("a", "b", "c"), examples=()),
        folder=Path(),
        reporter=Silent(),
    )


def test_the_first_of_its_kind_searches_and_the_others_take_its_choice(tmp_path: Path) -> None:
    spec = spec_of()
    shared = SharedHyperparameters(spec=spec, state=tmp_path)
    linear, second, *_, hidden = list_members(spec)
    assert (linear.head, second.head, second.seed, hidden.head) == ("linear", "linear", 1, "mlp")
    assert len(shared.candidates(linear, plan_of(spec, "linear"), 512).candidates) == 8
    shared.keep_choice(linear, CHOSEN)
    expected = Candidate(l2=0.03, learning_rate=0.001, dropout=0.5, seed=1)
    assert shared.candidates(second, plan_of(spec, "linear"), 512).candidates == (expected,)
    # Killed after its choice, the first searches again, in a bank of the same heads: the same choice, to the last bit.
    assert len(shared.candidates(linear, plan_of(spec, "linear"), 512).candidates) == 8
    # A choice is kept once, and for its kind alone.
    shared.keep_choice(second, replace(CHOSEN, l2=1.0))
    assert shared.candidates(second, plan_of(spec, "linear"), 512).candidates == (expected,)
    assert len(shared.candidates(hidden, plan_of(spec, "mlp"), 512).candidates) == SEARCHED_HIDDEN


def test_a_bag_is_drawn_with_replacement_by_seed_and_fold(tmp_path: Path) -> None:
    spec = spec_of(bag=True, heads=("linear",), folds=2)
    shared = SharedHyperparameters(spec=spec, state=tmp_path)
    labels = np.zeros(500, np.int32)
    bags = [shared.image_weights(member, labels) for member in list_members(spec)]
    for bag in bags:
        assert bag is not None
        assert bag.sum() == 500
        assert (bag == 0).mean() == pytest.approx((1 - 1 / 500) ** 500, abs=0.06)
    assert len({bag.tobytes() for bag in bags if bag is not None}) == 6
    again = shared.image_weights(list_members(spec)[0], labels)
    assert bags[0] is not None and again is not None
    np.testing.assert_array_equal(bags[0], again)


def test_boosting_hands_out_of_fold_predictions_from_one_member_to_the_next(tmp_path: Path) -> None:
    spec = spec_of(boost=True, heads=("linear",))
    shared = SharedHyperparameters(spec=spec, state=tmp_path)
    first, second, third = list_members(spec)
    assert [shared.needs_held_out(member) for member in (first, second, third)] == [True, True, False]
    weights = shared.image_weights(first, LABELS)
    assert weights is not None and weights.tolist() == [1, 1, 1, 1]
    shared.keep_held_out(first, np.array([0, 1, 2, 1], np.int32))
    assert not shared.needs_held_out(first)
    weights = shared.image_weights(second, LABELS)
    assert weights is not None and weights == pytest.approx([2 / 3, 2 / 3, 2 / 3, 2])
    with pytest.raises(UserError, match="skipped: the previous member failed"):
        shared.image_weights(third, LABELS)


def test_a_boosting_that_has_ended_is_known_when_the_training_resumes(tmp_path: Path) -> None:
    spec = spec_of(boost=True, heads=("linear",))
    first, *following = list_members(spec)
    SharedHyperparameters(spec=spec, state=tmp_path).keep_held_out(first, LABELS)
    for member in following:
        with pytest.raises(BoostingEnds) as caught:
            SharedHyperparameters(spec=spec, state=tmp_path).image_weights(member, LABELS)
        assert caught.value.num_members == 1


def test_members_without_bag_and_boosting_weight_all_images_alike(tmp_path: Path) -> None:
    spec = spec_of()
    assert SharedHyperparameters(spec=spec, state=tmp_path).image_weights(list_members(spec)[0], LABELS) is None


@pytest.mark.parametrize(
    "content", [np.zeros(3, np.int32), np.zeros((4, 1), np.int32), np.zeros(4, np.float32), np.array([{}], object)]
)
def test_predictions_of_other_images_are_damage(tmp_path: Path, content: Any) -> None:  # arrays of several types
    spec = spec_of(boost=True, heads=("linear",))
    first, second, *_ = list_members(spec)
    shared = SharedHyperparameters(spec=spec, state=tmp_path)
    shared.keep_held_out(first, np.array([0, 1, 0, 0], np.int32))
    (path,) = tmp_path.iterdir()
    np.save(path, content)
    with pytest.raises(UserError, match=rf"`{path}` is damaged"):
        shared.image_weights(second, LABELS)


def test_damaged_hyperparameters_are_named_and_searched_again_without_the_file(tmp_path: Path) -> None:
    spec = spec_of()
    first, member, *_ = list_members(spec)
    shared = SharedHyperparameters(spec=spec, state=tmp_path)
    shared.keep_choice(first, CHOSEN)
    (path,) = tmp_path.iterdir()
    path.write_text('{"l2": "much"}')
    with pytest.raises(UserError, match=rf"`{path}` is damaged: `l2`") as caught:
        shared.candidates(member, plan_of(spec, member.head), 3)
    assert "delete it" in caught.value.hint
    path.unlink()
    assert len(shared.candidates(member, plan_of(spec, member.head), 3).candidates) > 1
