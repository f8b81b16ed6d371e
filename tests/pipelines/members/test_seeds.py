"""A seed makes a member of its own only where something that it draws matters."""

from __future__ import annotations

from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import pytest

from models.errors import UserError
from models.heads import HEADS
from pipelines.images.policies import find_policy
from pipelines.members.seeds import is_changed_by_seed, without_copies
from pipelines.members.spec import Member, list_members
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.training.plan import TrainingNames, switches_of
from tests.specs import train_spec, with_options


def spec_with(
    *backbones: str,
    heads: tuple[str, ...] = ("linear",),
    common: dict[str, object] | None = None,
    **options: Any,  # of MembersSpec, of as many types
) -> MembersSpec:
    return MembersSpec(
        common=with_options(train_spec(), **common or {}),
        backbones=backbones or ("vgg16",),
        heads=heads,
        seeds=3,
        **options,
    )


def names_of(spec: MembersSpec) -> dict[Member, TrainingNames]:
    """What is looked up of each member; of its backbone only whether it is trained, so that no weights are needed."""
    data = spec.common.data
    source: Any = SimpleNamespace(is_untrained=spec.common.network.weights == "none")
    policy = find_policy(data.augment, switches_of(data))
    return {
        member: TrainingNames(head=HEADS[member.head], source=source, policy=policy) for member in list_members(spec)
    }


@pytest.mark.parametrize(
    "spec",
    [
        spec_with(heads=("mlp",)),
        spec_with(bag=True),
        spec_with(boost=True),
        spec_with(common={"dropout": 0.5}),
        spec_with(common={"fine_tune": "2"}),
        spec_with(common={"augment": "light"}),
        spec_with("small_cnn", common={"weights": "none"}),
    ],
    ids=["hidden layer", "bags", "boosting", "dropout", "fine-tuning", "views", "from scratch"],
)
def test_what_a_seed_draws_makes_three_members(spec: MembersSpec) -> None:
    names = names_of(spec)
    assert all(is_changed_by_seed(spec, looked_up) for looked_up in names.values())
    assert without_copies(spec, names) == (list_members(spec), ())


@pytest.mark.parametrize(
    "spec",
    [
        spec_with(),
        spec_with(folds=2),
        spec_with("vgg16", "resnet50"),
        spec_with(common={"dropout": 0.0}),
        spec_with(common={"augment": "light", "views": 1}),
    ],
    ids=["plain", "folds", "two backbones", "no dropout", "one view"],
)
def test_copies_of_linear_heads_are_refused_with_a_way_out(spec: MembersSpec) -> None:
    with pytest.raises(UserError, match=r"--seeds 3 would train copies") as caught:
        without_copies(spec, names_of(spec))
    for word in ("--bag", "--dropout", "--fine-tune", "--head mlp"):
        assert word in caught.value.hint


def test_beside_others_a_linear_head_is_trained_once() -> None:
    spec = spec_with("vgg16", "resnet50", heads=("linear", "mlp"), folds=2)
    members, lines = without_copies(spec, names_of(spec))
    linear = [member.name for member in members if member.head == "linear"]
    assert linear == [f"{backbone}-linear-s0-f{fold}" for backbone in ("vgg16", "resnet50") for fold in (0, 1)]
    assert len([member for member in members if member.head == "mlp"]) == 2 * 3 * 2
    assert lines == tuple(
        f"{backbone}, linear head: 1 seed instead of 3 seeds, which would be copies of it"
        for backbone in ("vgg16", "resnet50")
    )


def test_rules_and_initial_weights_give_copies_of_a_linear_head_and_members_elsewhere() -> None:
    several: dict[str, Any] = {"optimizers": ("sgd", "adam"), "inits": ("gaussian", "he_normal")}
    linear = replace(spec_with(**several), seeds=1)
    members, lines = without_copies(linear, names_of(linear))
    assert [(member.optimizer, member.init) for member in members] == [("sgd", "gaussian")]
    assert len(lines) == 1 and "trained once" in lines[0]
    for spec in (replace(spec_with(heads=("mlp",), **several), seeds=1), replace(linear, bag=True)):
        assert without_copies(spec, names_of(spec)) == (list_members(spec), ())
        assert len(list_members(spec)) == 4
