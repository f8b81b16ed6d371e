"""Stacking learns which member to trust for which class."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from models.errors import UserError
from models.pools import side_by_side
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.stacking import fit_stack
from pipelines.ensembles.weights import fit_weights, judged_probabilities, pool_probabilities
from pipelines.evaluation.metrics import losses
from tests.pipelines.ensembles.drawn import drawn


@pytest.mark.parametrize("classes", [2, 3])
def test_a_member_is_trusted_for_what_it_knows(classes: int) -> None:
    probabilities, labels = drawn(2, 800, classes, seed=5)
    # The first member always takes class 0 for class 1 and the other way round; the second knows nothing.
    probabilities[0] = probabilities[0][:, [1, 0, *range(2, classes)]]
    probabilities[1] = 1 / classes
    fitted = fit_weights(probabilities, labels, METHODS["stack"])
    assert (pool_probabilities(probabilities, fitted).argmax(1) == labels).mean() > 0.6
    assert (
        pool_probabilities(probabilities, fit_weights(probabilities, labels, METHODS["mean"])).argmax(1) == labels
    ).mean() < 0.5


def test_two_images_a_class_suffice_and_one_is_an_error() -> None:
    probabilities, _ = drawn(2, 8)
    assert fit_stack(probabilities, np.arange(8) % 4).regression.kernel.shape == (8, 4)
    with pytest.raises(UserError, match="two validation images of every class; 3 have fewer"):
        fit_stack(probabilities, np.array([0, 0, 0, 0, 0, 1, 2, 3]))


def test_a_held_out_image_does_not_know_its_label() -> None:
    probabilities, labels = drawn(3, 90, 3, seed=7)
    before = fit_stack(probabilities, labels, seed=0)
    shuffled = np.random.default_rng(0).permutation(labels)
    # Labels that the members know nothing of: a stack cannot predict them where it has not seen them.
    fitted = fit_stack(probabilities, shuffled, seed=0)
    assert losses(fitted.held_out, shuffled).mean() > 0.95 * np.log(3)
    assert losses(before.held_out, labels).mean() < 0.9 * np.log(3)
    assert np.abs(fitted.held_out.sum(1) - 1).max() < 1e-6


def test_what_is_stated_of_a_stack_holds_on_new_images() -> None:
    stated, plain, scaled = [], [], []
    for seed in range(20):
        probabilities, labels = drawn(3, 72, 6, seed=seed)
        new, new_labels = drawn(3, 3000, 6, seed=100 + seed)
        fitted = fit_weights(probabilities, labels, METHODS["stack"], seed=seed)
        stated.append(losses(judged_probabilities(probabilities, fitted), labels).mean())
        scaled.append(losses(pool_probabilities(new, fitted), new_labels).mean())
        plain.append(losses(pool_probabilities(new, replace(fitted, temperature=None)), new_labels).mean())
    # The standard error of the mean of 20 draws is 0.03 nats.
    assert np.mean(stated) == pytest.approx(np.mean(scaled), abs=0.08)
    assert np.mean(scaled) < np.mean(plain) + 0.01


def test_log_probabilities_stand_member_by_member() -> None:
    probabilities = np.array([[[0.25, 0.75]], [[0.5, 0.5]]])
    assert np.exp(side_by_side(probabilities)) == pytest.approx(np.array([[0.25, 0.75, 0.5, 0.5]]))


def test_copies_are_held_out_together() -> None:
    """Every image twice, with labels at random: who has seen the copy knows the label, and nobody else does."""
    probabilities, labels = drawn(20, 60, 2, seed=3)
    shuffled = np.random.default_rng(0).permutation(labels)
    twice, doubled = np.concatenate([probabilities, probabilities], axis=1), np.concatenate([shuffled, shuffled])
    apart = fit_stack(twice, doubled)
    together = fit_stack(twice, doubled, groups=[str(number % 60) for number in range(120)])
    assert np.array_equal(together.held_out[:60], together.held_out[60:])
    assert losses(together.held_out, doubled).mean() > losses(apart.held_out, doubled).mean() + 0.05
    assert together.note is None and apart.note is None


def test_images_without_groups_are_divided_as_before() -> None:
    probabilities, labels = drawn(2, 60, 3, seed=1)
    alone = fit_stack(probabilities, labels, groups=[str(number) for number in range(60)])
    assert np.array_equal(alone.held_out, fit_stack(probabilities, labels).held_out)


def test_a_class_of_one_group_is_divided_and_said() -> None:
    probabilities, labels = drawn(2, 60, 3, seed=1)
    fitted = fit_stack(
        probabilities, labels, groups=["one" if label == 0 else str(n) for n, label in enumerate(labels)]
    )
    assert fitted.note is not None and "one group of look-alikes" in fitted.note
    assert np.array_equal(fitted.held_out, fit_stack(probabilities, labels).held_out)
