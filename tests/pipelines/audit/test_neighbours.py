"""The nearest rows are those that scikit-learn finds, whatever the blocks."""

from __future__ import annotations

import numpy as np
import pytest
from sklearn.neighbors import NearestNeighbors

from pipelines.audit.neighbours import nearest


@pytest.mark.parametrize("block", [32, 2048])
def test_neighbours_are_those_of_scikit_learn(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.audit.neighbours.BLOCK", block)
    rows = np.random.default_rng(0).normal(size=(150, 12)).astype(np.float16)
    places, cosines = nearest(rows, 7)
    reference = NearestNeighbors(n_neighbors=7, metric="cosine").fit(rows.astype(float))
    distances, expected = reference.kneighbors()
    assert (places == expected).all()
    assert 1 - cosines == pytest.approx(distances, abs=1e-3)


def test_there_are_no_more_neighbours_than_images() -> None:
    places, _ = nearest(np.eye(3, 4, dtype=np.float16), 10)
    assert sorted(places[0].tolist()) == [1, 2]


def test_a_row_without_direction_is_as_near_to_all() -> None:
    _, cosines = nearest(np.zeros((5, 4), np.float32), 3)
    assert (cosines == 0).all()
