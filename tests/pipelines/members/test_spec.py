"""The members of an ensemble, their names, and the options that contradict each other."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from models.errors import UserError
from pipelines.members.spec import file_names, list_members, spec_of
from pipelines.runs.ensemble_spec import MembersSpec
from tests.specs import train_spec, with_options


def test_no_two_members_share_a_name() -> None:
    common = train_spec(data="", out="", seed=5)
    spec = MembersSpec(common=common, backbones=("a/run", "b/run", "vgg16"), heads=("linear", "mlp"), seeds=2, folds=2)
    members = list_members(spec)
    assert len({member.name for member in members}) == len(members) == 24
    assert members[0].name == "run-linear-s5-f0"
    assert members[0].group == "run-linear-s5"
    assert file_names(("a/run", "b/run", "vgg16")) == {"a/run": "run", "b/run": "run_2", "vgg16": "vgg16"}


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"backbones": ("vgg16", "vgg16")}, "given twice"),
        ({"folds": 1}, "at least 2"),
        ({"boost": True}, "--seeds"),
        ({"boost": True, "seeds": 3, "bag": True}, "--bag"),
        ({"bag": True, "common": train_spec(data="", out="", cache=False)}, "cached features"),
    ],
)
def test_options_that_do_not_go_together_are_refused(options: dict[str, Any], words: str) -> None:
    spec = MembersSpec(common=train_spec(data="", out=""), backbones=("vgg16",), heads=("linear",))
    with pytest.raises(UserError) as caught:
        list_members(replace(spec, **options))
    assert words in caught.value.message + caught.value.hint


def test_a_backbone_that_is_a_path_gives_its_last_part() -> None:
    assert file_names(("runs/caf\u00e9 1/", "x/net.keras", "y/net", "//")) == {
        "runs/caf\u00e9 1/": "caf\u00e9_1",
        "x/net.keras": "net",
        "y/net": "net_2",
        "//": "backbone",
    }


def test_boosted_members_are_named_as_rounds() -> None:
    spec = MembersSpec(common=train_spec(), backbones=("vgg16",), heads=("linear",), seeds=2, boost=True)
    assert [(member.name, member.seed, member.fold) for member in list_members(spec)] == [
        ("vgg16-r0", 0, None),
        ("vgg16-r1", 1, None),
    ]


def test_a_member_is_trained_with_the_common_options_and_its_own_names_and_seed() -> None:
    common = train_spec(data="photos", epochs=3, backbone="vgg16", head="linear", seed=5)
    spec = MembersSpec(common=common, backbones=("vgg16", "resnet50"), heads=("linear", "mlp"), seeds=2)
    member = list_members(spec)[-1]
    assert member.name == "resnet50-mlp-s6"
    expected = with_options(common, out="run/resnet50-mlp-s6", backbone="resnet50", head="mlp", seed=6)
    assert spec_of(spec, member, Path("run/resnet50-mlp-s6")) == expected


def test_rules_and_initialisations_multiply_the_members_and_name_them() -> None:
    common = train_spec(data="photos", out="run", backbone="conv:10,20")
    spec = MembersSpec(
        common=common,
        backbones=("conv:10,20",),
        heads=("linear",),
        optimizers=("sgd", "adam"),
        inits=("gaussian", "he_normal"),
    )
    assert not spec.is_single
    members = list_members(spec)
    assert [member.name for member in members] == [
        "conv_10_20-sgd-gaussian",
        "conv_10_20-sgd-he_normal",
        "conv_10_20-adam-gaussian",
        "conv_10_20-adam-he_normal",
    ]
    expected = with_options(common, out="run/x", optimizer="adam", init="gaussian")
    assert spec_of(spec, members[2], Path("run/x")) == expected
    one = replace(spec, optimizers=(), inits=("gaussian",))
    assert one.is_single and [member.name for member in list_members(one)] == ["conv_10_20"]
    with pytest.raises(UserError, match="optimizer `sgd` is given twice"):
        list_members(replace(spec, optimizers=("sgd", "sgd")))
