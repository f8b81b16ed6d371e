"""The layers of a bank, and which axis of each variable counts the heads."""

from __future__ import annotations

import numpy as np
import pytest

from models.bank_network import HeadDropout, build_network, heads_axis
from models.heads import Candidate, Head


def test_dropout_works_in_training_only_and_keeps_the_expectation() -> None:
    layer = HeadDropout((0.0, 0.5), seed=4)
    ones = np.ones((400, 2, 50), np.float32)
    dropped = np.asarray(layer(ones, training=True))
    np.testing.assert_array_equal(np.asarray(layer(ones, training=False)), ones)
    np.testing.assert_array_equal(dropped[:, 0], ones[:, 0])
    assert set(np.unique(dropped[:, 1])) == {0.0, 2.0}
    assert abs(dropped[:, 1].mean() - 1.0) < 0.05


@pytest.mark.parametrize("hidden", [0, 7])
@pytest.mark.parametrize("dropout", [0.0, 0.5])
def test_the_axis_of_the_heads_has_their_number(hidden: int, dropout: float) -> None:
    head = Head(name="toy", hidden=hidden, batch_norm=False, dropout=0.0, about="")
    candidates = [Candidate(l2=0.0, learning_rate=1e-3, dropout=dropout, seed=seed) for seed in range(5)]
    network = build_network(head, candidates, num_features=11, num_classes=3)
    axes = {"/".join(weight.path.split("/")[-2:]): heads_axis(head, weight) for weight in network.trainable_variables}
    for weight in network.trainable_variables:
        axis = axes["/".join(weight.path.split("/")[-2:])]
        assert axis is not None
        assert weight.shape[axis] == 5
    assert network.output_shape == (None, 5, 3)
    assert len(axes) == (4 if hidden else 2)


def test_heads_and_units_share_the_axis_of_a_normalisation() -> None:
    head = Head(name="toy", hidden=6, batch_norm=True, dropout=0.0, about="")
    candidates = [Candidate(l2=0.0, learning_rate=1e-3, dropout=0.0, seed=seed) for seed in range(4)]
    network = build_network(head, candidates, num_features=9, num_classes=3)
    norm = network.get_layer("norm")
    assert [heads_axis(head, weight) for weight in norm.weights] == [None] * 4
    assert norm.gamma.shape == (24,)
