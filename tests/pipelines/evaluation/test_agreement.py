"""A few images, spread evenly, show how far stated probabilities agree with those of the saved model."""

from __future__ import annotations

import numpy as np
import pytest

from pipelines.evaluation.agreement import measure_agreement, spread_places


@pytest.mark.parametrize(
    ("num_images", "places"),
    [(0, []), (1, [0]), (16, list(range(16))), (31, list(range(16))), (160, list(range(0, 160, 10)))],
)
def test_at_most_sixteen_places_are_spread_evenly(num_images: int, places: list[int]) -> None:
    assert spread_places(num_images) == places


def test_agreement_of_a_case_worked_by_hand() -> None:
    exact = np.array([[0.7, 0.3], [0.4, 0.6], [0.51, 0.49], [0.2, 0.8]], np.float32)
    stated = np.array([[0.6, 0.4], [0.4, 0.6], [0.49, 0.51], [0.2, 0.8]], np.float32)
    agreement = measure_agreement(exact, stated)
    assert (agreement.images, agreement.top1_agreement) == (4, 0.75)
    assert agreement.max_difference == pytest.approx(0.1, abs=1e-5)
