"""The digests of the policies: features that are cached under them must go on being found."""

from __future__ import annotations

import pytest

from pipelines.images.policies import find_policy
from pipelines.images.policy import Switches

# As headstart 0.1.0 computed them on 2026-11-21.
DIGESTS = {
    "none": ("aed2db130f394a7a", "b530b3adbe8291ac", "aed2db130f394a7a"),
    "light": ("6174ea408d37e9d9", "14d63a568054ec38", "6174ea408d37e9d9"),
    "medium": ("df47a74ce800d889", "9557a95f44aa2aad", "dda00f6b8f90e84e"),
    "strong": ("e9feee26627f0cfe", "458cf1afa387d1f7", "71dd528da9a98b99"),
}


@pytest.mark.parametrize("name", DIGESTS)
def test_features_that_are_cached_go_on_being_found(name: str) -> None:
    switches = (Switches(), Switches(rotate90=True, no_flip=True), Switches(no_color=True))
    assert tuple(find_policy(name, switch).digest for switch in switches) == DIGESTS[name]


def test_a_policy_knows_its_name_whatever_the_switches() -> None:
    assert find_policy("light", Switches(rotate90=True)).name == "light"
