"""Every method improves on its members where it says so, and pools as the joined Keras model does."""

from __future__ import annotations

import keras
import numpy as np
import pytest
from keras import layers

from models.ensemble import combine
from models.pools import POOLS
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.weights import (
    EnsembleWeights,
    align_columns,
    disagreement,
    fit_weights,
    pool_probabilities,
)
from pipelines.evaluation.metrics import losses
from tests.pipelines.ensembles.drawn import drawn


@pytest.mark.parametrize("method", METHODS)
def test_every_method_beats_its_mean_member_on_new_images(method: str) -> None:
    probabilities, labels = drawn(5, 600, seed=1)
    new, new_labels = drawn(5, 2000, seed=2)
    fitted = fit_weights(probabilities, labels, METHODS[method])
    assert METHODS[method].pool in POOLS
    assert sum(fitted.weights) == pytest.approx(1)
    pooled = pool_probabilities(new, fitted)
    assert np.abs(pooled.sum(1) - 1).max() < 1e-9
    single = np.mean([(member.argmax(1) == new_labels).mean() for member in new])
    assert (pooled.argmax(1) == new_labels).mean() > single + 0.05
    if method != "vote":
        assert losses(pooled, new_labels).mean() < np.mean([losses(member, new_labels).mean() for member in new])


@pytest.mark.parametrize("method", METHODS)
def test_the_joined_model_gives_the_pooled_probabilities(method: str) -> None:
    keras.utils.set_random_seed(0)
    shape = layers.Input((2, 2, 3)), layers.Rescaling(1 / 127.5, offset=-1), layers.Flatten()
    members = [
        keras.Sequential([*shape, layers.Dense(3, activation="softmax", kernel_initializer="random_normal")])
        for _ in range(3)
    ]
    pixels = np.random.default_rng(0).uniform(0, 255, (40, 2, 2, 3)).astype(np.float32)
    probabilities = np.stack([np.asarray(member(pixels)) for member in members])
    labels = np.arange(40) % 3
    fitted = fit_weights(probabilities, labels, METHODS[method])
    joined = combine(members, fitted.weights, method=fitted.pool, stack=fitted.stack, temperature=fitted.temperature)
    assert np.abs(np.asarray(joined(pixels)) - pool_probabilities(probabilities, fitted)).max() < 1e-5


def test_a_fitted_temperature_lowers_the_loss() -> None:
    probabilities, labels = drawn(3, 500, sharpness=3.0)
    plain = fit_weights(probabilities, labels, METHODS["mean"], calibrate=False)
    calibrated = fit_weights(probabilities, labels, METHODS["mean"])
    assert calibrated.temperature is not None
    assert plain.temperature is None
    calibrated_loss, plain_loss = (
        losses(pool_probabilities(probabilities, fitted), labels).mean() for fitted in (calibrated, plain)
    )
    assert calibrated_loss < plain_loss


def test_geometric_and_vote_by_hand() -> None:
    probabilities = np.array([[[0.8, 0.2]], [[0.2, 0.8]], [[0.4, 0.6]]])
    third = (1 / 3, 1 / 3, 1 / 3)
    first, second = (0.8 * 0.2 * 0.4) ** (1 / 3), (0.2 * 0.8 * 0.6) ** (1 / 3)
    pooled = pool_probabilities(probabilities, EnsembleWeights(pool="geometric", weights=third))
    assert pooled[0, 0] == pytest.approx(first / (first + second))
    pooled = pool_probabilities(probabilities, EnsembleWeights(pool="vote", weights=third))
    assert pooled[0] == pytest.approx([1 / 3, 2 / 3], abs=1e-3)


def test_disagreement_is_the_share_of_images_with_different_classes() -> None:
    probabilities = np.eye(3)[[[0, 1, 2, 0], [0, 1, 1, 1]]]
    assert disagreement(probabilities).tolist() == [[0.0, 0.5], [0.5, 0.0]]


def test_columns_follow_the_classes_of_the_ensemble() -> None:
    # The member knows (b10, b2), the ensemble (a, b2, b10).
    assert align_columns([[0.75, 0.25]], (None, 1, 0)).tolist() == [[0.0, 0.25, 0.75]]


def test_forty_members_are_joined_in_seconds() -> None:
    probabilities, labels = drawn(40, 1000, 10)
    fitted = fit_weights(probabilities, labels, METHODS["greedy"])
    assert len(fitted.weights) == 40


@pytest.mark.parametrize("method", sorted(METHODS))
def test_pooling_block_by_block_changes_nothing(method: str, monkeypatch: pytest.MonkeyPatch) -> None:
    probabilities, labels = drawn(3, 60, seed=4)
    single = probabilities.astype(np.float32)
    fitted = fit_weights(single, labels, METHODS[method])
    whole = pool_probabilities(single, fitted)
    monkeypatch.setattr("pipelines.evaluation.metrics.BLOCK", 7 * probabilities.shape[2])
    np.testing.assert_allclose(pool_probabilities(single, fitted), whole, rtol=1e-12)
    assert fit_weights(single.astype(np.float64), labels, METHODS[method]).weights == fitted.weights
