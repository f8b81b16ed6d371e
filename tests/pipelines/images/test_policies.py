"""The table of policies: names, numbers of views, and digests under which features are cached."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import tensorflow as tf
from scipy.stats import kstest

from models.errors import UserError
from pipelines.images.augment import build_augmenter
from pipelines.images.policies import POLICIES, find_policy
from pipelines.images.policy import LAYERS, Switches

# As computed on 2026-11-24, when random crops came and what lies outside an image was mirrored everywhere.
DIGESTS = {
    "none": ("6cabe1ea81058a92", "019e77ecb742a75b", "6cabe1ea81058a92"),
    "light": ("8b52c1a5400648f4", "eee5a1527b654446", "8b52c1a5400648f4"),
    "alexnet": ("72fdf22b54714936", "1073ad99c854cafb", "cfbfdc37c8daa7e0"),
    "medium": ("83a2b4016fa49fc1", "0f54bd4e5cd0ce5f", "ac0c846233ea9169"),
    "strong": ("bd5c0db04a6ddea8", "bb4c68b19acf107d", "dd5b35768e09f6d2"),
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


def test_the_patches_of_alexnet_are_seven_eighths_of_the_side_at_any_place() -> None:
    # Krizhevsky et al. 2012: 224 of 256 pixels. A ramp to the right and one downwards show where a patch was taken.
    size = 64
    crop = replace(POLICIES["alexnet"], steps=POLICIES["alexnet"].steps[1:3])
    augment = build_augmenter(crop, size=size)
    right = np.tile(np.arange(size, dtype=np.float32), (size, 1))
    picture = tf.constant(np.stack([right, right.T, 0 * right], axis=-1))
    views = tf.map_fn(
        lambda view: augment(picture, tf.constant([3, 7]), view), tf.range(1, 401), fn_output_signature=tf.float32
    ).numpy()
    for first, last in ((views[:, :, 0, 0], views[:, :, -1, 0]), (views[:, 0, :, 1], views[:, -1, :, 1])):
        np.testing.assert_allclose(last.mean(1) - first.mean(1), 7 / 8 * (size - 1), atol=0.1)
        # Uniform over the eighth that is left, to its ends: none of 400 draws in their 3 % is one case in 200,000.
        places = first.mean(1) / (size / 8)
        assert kstest(places, "uniform").pvalue > 1e-3
        assert places.min() < 0.03 and places.max() > 0.97
    assert abs(np.corrcoef(views[:, :, 0, 0].mean(1), views[:, 0, :, 1].mean(1))[0, 1]) < 0.2
