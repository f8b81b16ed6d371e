"""Mixed batches: labels tell how much of each image is in the mixture, and the same seed mixes alike."""

from __future__ import annotations

import numpy as np
import pytest
import tensorflow as tf

from pipelines.images.mixing import build_mixer
from pipelines.images.policies import POLICIES
from pipelines.images.policy import Policy


@pytest.mark.parametrize("policy", [Policy(mixup=0.4), Policy(cutmix=1.0), Policy(mixup=0.4, cutmix=1.0)])
def test_mixing_keeps_labels_true_to_the_pixels(policy: Policy) -> None:
    # Class k is a flat picture of level 10 k: the mean level tells the mixture, to the pixel that a cut is rounded to.
    levels = np.arange(6, dtype=np.float32) * 10
    images = np.ones((6, 200, 200, 3), np.float32) * levels[:, None, None, None]
    labels = np.eye(6, dtype=np.float32)
    mix = build_mixer(policy)
    assert mix is not None
    mix = tf.function(mix)
    changed = 0.0
    for number in range(6):
        key = tf.constant([number, 1])
        mixed, soft = mix(tf.constant(images), tf.constant(labels), key)
        again, _ = mix(tf.constant(images), tf.constant(labels), key)
        np.testing.assert_array_equal(mixed, again)
        np.testing.assert_allclose(soft.numpy().sum(1), 1, atol=1e-5)
        np.testing.assert_allclose(mixed.numpy().mean((1, 2, 3)), soft.numpy() @ levels, atol=0.6)
        changed += np.abs(mixed.numpy() - images).mean()
    assert changed > 1


def test_with_both_methods_each_batch_takes_one() -> None:
    # Flat pictures: mixup gives flat pictures, cutmix pictures of two levels.
    images = np.ones((6, 40, 40, 3), np.float32) * np.arange(6, dtype=np.float32)[:, None, None, None] * 40
    labels = np.eye(6, dtype=np.float32)
    mix = build_mixer(Policy(mixup=1.0, cutmix=1.0))
    assert mix is not None
    mix = tf.function(mix)
    num_cut = 0
    for number in range(40):
        mixed, _ = mix(tf.constant(images), tf.constant(labels), tf.constant([number, 5]))
        # Rounded: mixup's sums differ in the last bit.
        levels = [len(np.unique(np.round(image, 2))) for image in mixed.numpy()]
        assert max(levels) <= 2
        num_cut += max(levels) == 2
    assert 8 <= num_cut <= 32


def test_a_policy_without_mixing_has_no_mixer() -> None:
    assert build_mixer(POLICIES["light"]) is None
