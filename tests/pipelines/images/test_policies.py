"""The table of policies: names, numbers of views, and digests under which features are cached."""

from __future__ import annotations

import pytest

from models.errors import UserError
from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import LAYERS, Switches

# As headstart 0.1.0 computed them on 2026-11-21; `medium` and `strong` on 2026-11-24, when their contrast was mended.
DIGESTS = {
    "none": ("aed2db130f394a7a", "b530b3adbe8291ac", "aed2db130f394a7a"),
    "light": ("6174ea408d37e9d9", "14d63a568054ec38", "6174ea408d37e9d9"),
    "medium": ("9b7e2a3b2a03576c", "b2b28790cf32235b", "dda00f6b8f90e84e"),
    "strong": ("50d79e6adb8305c3", "13b4ea8a1262947c", "b9975c4a11011ef5"),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_features_that_are_cached_are_found_again(name: str) -> None:
    switches = (Switches(), Switches(rotate90=True, no_flip=True), Switches(no_color=True))
    assert tuple(find_policy(name, switch).digest for switch in switches) == DIGESTS[name]


@pytest.mark.parametrize("name", POLICIES)
def test_a_policy_has_the_name_of_its_entry(name: str) -> None:
    assert POLICIES[name].name == name
    assert {step.layer for step in POLICIES[name].steps} <= set(LAYERS)


def test_a_policy_keeps_its_name_whatever_the_switches() -> None:
    assert find_policy("light", Switches(rotate90=True)).name == "light"


def test_stronger_policies_have_more_views() -> None:
    assert (find_policy("none").views, find_policy("light").views) == (1, 4)
    assert 4 < find_policy("medium").views <= find_policy("strong").views


def test_a_mistyped_name_gets_a_suggestion() -> None:
    with pytest.raises(UserError) as caught:
        find_policy("ligt")
    assert "light" in caught.value.hint
