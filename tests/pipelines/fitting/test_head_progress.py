"""Each head of a bank keeps its best epoch; its learning rate falls on plateaus, and it stops on its own."""

from __future__ import annotations

import numpy as np
import pytest

from models.bank import Bank
from models.heads import HEADS, Candidate
from pipelines.fitting.head_progress import HeadProgress
from pipelines.runs.training_records import HeadTrial


@pytest.fixture
def bank() -> Bank:
    """Two linear heads of two classes on two features."""
    candidates = tuple(Candidate(l2=l2, learning_rate=0.1, dropout=0.0, seed=3) for l2 in (0.0, 0.5))
    return Bank(
        HEADS["linear"],
        candidates,
        num_classes=2,
        optimizer="sgd",
        mean=np.zeros(2, np.float32),
        scale=np.ones(2, np.float32),
    )


def record(progress: HeadProgress, *losses: tuple[float, float]) -> None:
    """Record epochs with these losses of the two heads; the accuracy is a tenth of the epoch."""
    for epoch, loss in enumerate(losses):
        share = np.full(2, epoch / 10)
        progress.record(epoch, np.array(loss), share)


def train(bank: Bank) -> None:
    bank.step(np.ones((2, 2), np.float32), np.array([0, 1], np.int32), np.array([2.0, 1.0], np.float32))


def test_each_head_keeps_its_own_best_epoch(bank: Bank) -> None:
    progress = HeadProgress(bank)
    record(progress, (1.0, 1.0), (0.8, 1.2), (0.9, 0.7))
    assert progress.best == 1
    assert list(progress.best_epoch) == [1, 2]
    assert list(progress.loss) == [0.8, 0.7]
    np.testing.assert_allclose(progress.accuracy, [0.1, 0.2])


def test_the_weights_are_those_of_the_best_epoch(bank: Bank) -> None:
    progress = HeadProgress(bank)
    states = []
    for epoch, loss in enumerate([(1.0, 1.0), (0.8, 1.2), (0.9, 0.7)]):
        train(bank)
        states.append(bank.state())
        progress.record(epoch, np.array(loss), np.zeros(2))
    for best, *epochs in zip(progress.states[0], *states, strict=True):
        np.testing.assert_array_equal(best[0], epochs[1][0])
        np.testing.assert_array_equal(best[1], epochs[2][1])
    assert not np.array_equal(states[1][0][0], states[2][0][0]), "weights that never change prove nothing"


def test_a_plateau_of_three_epochs_divides_the_rate_and_the_third_stops_the_head(bank: Bank) -> None:
    progress = HeadProgress(bank)
    rates = []
    for epoch in range(11):
        # The second head improves in every epoch.
        progress.record(epoch, np.array([1.0, 10.0 - epoch]), np.zeros(2))
        rates.append(bank.rates.copy())
    first, second = np.array(rates).T
    assert first == pytest.approx([1, 1, 1, 0.1, 0.1, 0.1, 0.01, 0.01, 0.01, 0, 0])
    assert second == pytest.approx(np.ones(11))
    assert progress.num_learning == 1


def test_a_gain_of_less_than_a_ten_thousandth_is_not_better(bank: Bank) -> None:
    progress = HeadProgress(bank)
    record(progress, (1.0, 1.0), (0.99995, 0.99985))
    assert list(progress.best_epoch) == [0, 1]


def test_a_head_that_has_stopped_keeps_its_best_epoch(bank: Bank) -> None:
    progress = HeadProgress(bank)
    record(progress, (1.0, 1.0))
    bank.rates[0] = 0.0
    record(progress, (0.5, 0.5))
    assert list(progress.loss) == [1.0, 0.5]


def test_a_loss_that_is_not_finite_is_never_the_best(bank: Bank) -> None:
    progress = HeadProgress(bank)
    record(progress, (np.nan, 1.0), (np.inf, np.nan))
    assert list(progress.best_epoch) == [-1, 0]
    assert progress.best == 1
    assert progress.trials()[1] == HeadTrial(
        number=0,
        l2=0.0,
        learning_rate=0.1,
        dropout=0.0,
        seed=3,
        best_epoch=0,
        validation_loss=None,
        validation_accuracy=0.0,
    )


def test_trials_come_with_the_best_first_and_rounded(bank: Bank) -> None:
    progress = HeadProgress(bank)
    record(progress, (2.0, 2.0), (1.123456789, 1.023456789))
    first, second = progress.trials()
    assert (first.number, second.number) == (1, 0)
    assert (first.validation_loss, first.best_epoch, first.l2) == (1.02346, 2, 0.5)
