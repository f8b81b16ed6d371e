"""Policies: what the switches leave of them, how many views they have, and what their digest depends on."""

from __future__ import annotations

from dataclasses import replace

import pytest

from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import LAYERS, Policy, PolicyStep, Switches, apply_switches

HUE = PolicyStep(layer="RandomHue", arguments={"factor": 0.5})
FLIP = PolicyStep(layer="RandomFlip")


def test_switches_remove_and_add_steps() -> None:
    layers = [step.layer for step in find_policy("strong", Switches(no_flip=True)).steps]
    assert "RandomFlip" not in layers and "RandomHue" in layers
    plain = find_policy("strong", Switches(no_color=True)).steps
    assert not [step for step in plain if LAYERS[step.layer] == "colour"]
    assert [step.arguments["color"] for step in plain if step.layer == "RandAugment"] == [False]
    turned = find_policy("none", Switches(rotate90=True))
    assert [step.layer for step in turned.steps] == ["Rotate90"]
    assert turned.views > 1


@pytest.mark.parametrize("name", POLICIES)
def test_a_switch_changes_nothing_else(name: str) -> None:
    policy = POLICIES[name]
    steps = policy.steps
    geometric = {"color": False}
    expected = {
        Switches(): steps,
        Switches(rotate90=True): (PolicyStep(layer="Rotate90"), *steps),
        Switches(no_flip=True): tuple(step for step in steps if step.layer != "RandomFlip"),
        Switches(no_color=True): tuple(
            replace(step, arguments={**step.arguments, **geometric}) if step.layer == "RandAugment" else step
            for step in steps
            if step.layer not in ("RandomBrightness", "RandomContrast", "RandomSaturation", "RandomHue", "FancyPCA")
        ),
    }
    for switches, expected_steps in expected.items():
        switched = apply_switches(policy, switches)
        assert switched.steps == expected_steps
        assert (switched.name, switched.mixup, switched.cutmix) == (policy.name, policy.mixup, policy.cutmix)
    assert apply_switches(policy, Switches()) == policy


@pytest.mark.parametrize(
    ("policy", "switches", "views"),
    [
        (Policy(views=1), Switches(), 1),
        (Policy(views=1), Switches(no_flip=True, no_color=True), 1),
        (Policy(views=1), Switches(rotate90=True), 4),
        # Nothing to draw: a second view would be the clean image again.
        (Policy(views=6), Switches(), 1),
        (Policy(views=6, steps=(FLIP,)), Switches(no_flip=True), 1),
        (Policy(views=6, steps=(HUE,)), Switches(no_color=True), 1),
        (Policy(views=6, steps=(HUE,)), Switches(no_flip=True), 6),
        # A number that a policy file asks for holds with the switch too.
        (Policy(views=6), Switches(rotate90=True), 6),
        (Policy(views=6, steps=(FLIP,)), Switches(no_flip=True, rotate90=True), 6),
        (Policy(views=1, steps=(HUE,)), Switches(rotate90=True), 1),
    ],
)
def test_the_number_of_views_follows_what_is_left_to_draw(policy: Policy, switches: Switches, views: int) -> None:
    assert apply_switches(policy, switches).views == views


def test_the_digest_depends_on_what_changes_pixels_alone() -> None:
    digests = {policy.digest for policy in POLICIES.values()}
    assert len(digests) == len(POLICIES)
    assert find_policy("light").digest != find_policy("light", Switches(no_flip=True)).digest
    assert find_policy("light").digest == find_policy("light", Switches(no_color=True)).digest
    assert Policy(steps=(HUE,), views=3).digest == Policy(steps=(HUE,), views=9, name="other", mixup=1.0).digest
    weaker = PolicyStep(layer="RandomHue", arguments={"factor": 0.4})
    rarer = PolicyStep(layer="RandomHue", arguments={"factor": 0.5}, probability=0.5)
    others = [(weaker,), (rarer,), (HUE, FLIP), (FLIP, HUE), ()]
    assert len({Policy(steps=steps).digest for steps in [(HUE,), *others]}) == len(others) + 1
