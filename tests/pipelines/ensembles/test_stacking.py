"""Stacking learns which member to trust for which class."""

from __future__ import annotations

import numpy as np
import pytest

from models.errors import UserError
from models.pools import side_by_side
from pipelines.ensembles.methods import METHODS
from pipelines.ensembles.stacking import fit_stack
from pipelines.ensembles.weights import fit_weights, pool_probabilities
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


def test_one_image_a_class_suffices_and_none_is_an_error() -> None:
    probabilities, _ = drawn(2, 4)
    assert fit_stack(probabilities, np.arange(4)).kernel.shape == (8, 4)
    with pytest.raises(UserError, match="every class; 2 have none"):
        fit_stack(probabilities, np.array([0, 1, 0, 1]))


def test_log_probabilities_stand_member_by_member() -> None:
    probabilities = np.array([[[0.25, 0.75]], [[0.5, 0.5]]])
    assert np.exp(side_by_side(probabilities)) == pytest.approx(np.array([[0.25, 0.75, 0.5, 0.5]]))
