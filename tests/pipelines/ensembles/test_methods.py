"""Joining: what is fitted is better where it says so, and is what the joined model does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from models.ensemble import combine
from models.errors import UserError
from models.pools import POOLS
from pipelines.ensembles.methods import (
    METHODS,
    EnsembleWeights,
    agreement,
    common_classes,
    disagreement,
    entropy,
    fit,
    pooled,
    rearranged,
)
from pipelines.ensembles.stacking import fit_stack
from pipelines.evaluation.metrics import losses


def drawn(
    members: int, images: int, classes: int = 4, seed: int = 0, sharpness: float = 1.0
) -> tuple[np.ndarray, np.ndarray]:
    """Members that err independently, and labels; `sharpness` 1 is calibrated."""
    generator = np.random.default_rng(seed)
    labels = generator.permutation(np.arange(images) % classes)
    logits = generator.normal(size=(members, images, classes))
    logits[:, np.arange(images), labels] += 1.0
    raised = np.exp(sharpness * logits)
    return raised / raised.sum(2, keepdims=True), labels


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_its_mean_member_on_new_images(method: str) -> None:
    answers, labels = drawn(5, 600, seed=1)
    new, new_labels = drawn(5, 2000, seed=2)
    joint = fit(answers, labels, method=method)
    assert METHODS[method].pool in POOLS
    assert sum(joint.weights) == pytest.approx(1)
    found = pooled(new, joint)
    assert np.abs(found.sum(1) - 1).max() < 1e-9
    single = np.mean([(each.argmax(1) == new_labels).mean() for each in new])
    assert (found.argmax(1) == new_labels).mean() > single + 0.05
    if method != "vote":
        assert losses(found, new_labels).mean() < np.mean([losses(each, new_labels).mean() for each in new])


@pytest.mark.parametrize("method", METHODS)
def test_the_joined_model_answers_what_was_foretold(method: str) -> None:
    keras.utils.set_random_seed(0)
    shape = layers.Input((2, 2, 3)), layers.Rescaling(1 / 127.5, offset=-1), layers.Flatten()
    members = [
        keras.Sequential([*shape, layers.Dense(3, activation="softmax", kernel_initializer="random_normal")])
        for _ in range(3)
    ]
    pixels = np.random.default_rng(0).uniform(0, 255, (40, 2, 2, 3)).astype(np.float32)
    answers = np.stack([np.asarray(each(pixels)) for each in members])
    labels = np.arange(40) % 3
    joint = fit(answers, labels, method=method)
    joined = combine(members, joint.weights, method=joint.pool, stack=joint.stack, temperature=joint.temperature)
    assert np.abs(np.asarray(joined(pixels)) - pooled(answers, joint)).max() < 1e-5


def test_a_fitted_temperature_lowers_the_loss() -> None:
    answers, labels = drawn(3, 500, sharpness=3.0)
    plain = fit(answers, labels, method="mean", calibrate=False)
    calibrated = fit(answers, labels, method="mean")
    assert calibrated.temperature is not None
    assert plain.temperature is None
    assert losses(pooled(answers, calibrated), labels).mean() < losses(pooled(answers, plain), labels).mean()


@pytest.mark.parametrize("classes", [2, 3])
def test_stack_learns_whom_to_trust_with_what(classes: int) -> None:
    answers, labels = drawn(2, 800, classes, seed=5)
    # The first member always takes class 0 for class 1 and the other way round; the second knows nothing.
    answers[0] = answers[0][:, [1, 0, *range(2, classes)]]
    answers[1] = 1 / classes
    joint = fit(answers, labels, method="stack")
    assert (pooled(answers, joint).argmax(1) == labels).mean() > 0.6
    assert (pooled(answers, fit(answers, labels, method="mean")).argmax(1) == labels).mean() < 0.5


def test_stack_with_one_image_a_class_and_with_none() -> None:
    answers, _ = drawn(2, 4)
    assert fit_stack(answers, np.arange(4)).kernel.shape == (8, 4)
    with pytest.raises(UserError, match="every class; 2 have none"):
        fit_stack(answers, np.array([0, 1, 0, 1]))


def test_geometric_and_vote_by_hand() -> None:
    answers = np.array([[[0.8, 0.2]], [[0.2, 0.8]], [[0.4, 0.6]]])
    third = (1 / 3, 1 / 3, 1 / 3)
    one, other = (0.8 * 0.2 * 0.4) ** (1 / 3), (0.2 * 0.8 * 0.6) ** (1 / 3)
    found = pooled(answers, EnsembleWeights(method="geometric", pool="geometric", weights=third))
    assert found[0, 0] == pytest.approx(one / (one + other))
    found = pooled(answers, EnsembleWeights(method="vote", pool="vote", weights=third))
    assert found[0] == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


def test_an_unknown_method_is_named() -> None:
    with pytest.raises(UserError, match="unknown ensemble method: `greed`"):
        fit(*drawn(2, 10), method="greed")


def test_disagreement_agreement_and_entropy() -> None:
    answers = np.eye(3)[[[0, 1, 2, 0], [0, 1, 1, 1]]]
    assert disagreement(answers).tolist() == [[0.0, 0.5], [0.5, 0.0]]
    assert agreement(answers, answers[0]).tolist() == [1.0, 1.0, 0.5, 0.5]
    assert entropy(np.array([[1.0, 0.0], [0.5, 0.5]])) == pytest.approx([0.0, np.log(2)], abs=1e-9)


def test_class_orders_that_differ_are_matched_by_name() -> None:
    names, columns = common_classes([("b10", "b2"), ("a", "b2", "b10")])
    assert names == ("a", "b2", "b10")
    assert columns == [(None, 1, 0), (0, 1, 2)]
    assert rearranged([[0.75, 0.25]], columns[0]).tolist() == [[0.0, 0.25, 0.75]]


def test_forty_members_are_joined_in_seconds() -> None:
    answers, labels = drawn(40, 1000, 10)
    joint = fit(answers, labels)
    assert len(joint.weights) == 40
