"""Learning-rate schedules, plateaus and early stopping."""

from __future__ import annotations

import math

import pytest

from pipelines.fitting.checkpoint import StageProgress
from pipelines.fitting.schedule import count_epoch, rate_factor
from pipelines.runs.stages import Recipe


def test_a_cosine_rises_through_the_warm_up_and_falls_to_almost_nothing() -> None:
    recipe = Recipe(schedule="cosine", warm_up=2.0)
    factors = [rate_factor(recipe, epochs_done, 10) for epochs_done in (0, 1, 2, 6, 10)]
    assert factors == pytest.approx([0.01, 0.5, 1.0, 0.505, 0.01])
    # A warm-up never takes more than half of a stage.
    assert rate_factor(recipe, 0.5, 1) == pytest.approx(1.0)
    assert rate_factor(Recipe(), 3.0, 10, plateau_factor=0.1) == pytest.approx(0.1)


@pytest.mark.parametrize("epochs_done", [0.0, 0.25, 3.5, 7.999, 8.0])
def test_a_cosine_is_that_of_its_paper_down_to_the_floor(epochs_done: float) -> None:
    # Loshchilov and Hutter (2017), equation 5, without warm restarts.
    expected = 0.01 + 0.5 * (1 - 0.01) * (1 + math.cos(epochs_done / 8 * math.pi))
    factor = rate_factor(Recipe(schedule="cosine"), epochs_done, 8, plateau_factor=0.1)
    assert factor == pytest.approx(expected), "plateaus do not change a cosine"


def test_plateaus_lower_the_rate_and_patience_ends_the_stage() -> None:
    progress, recipe = StageProgress(), Recipe(patience=6)
    assert count_epoch(progress, 1.0, recipe)
    factors = []
    while not progress.is_stopped:
        assert not count_epoch(progress, 1.0, recipe)
        factors.append(progress.plateau_factor)
    assert factors == pytest.approx([1, 1, 0.1, 0.1, 0.1, 0.01])
    assert progress.epoch == 7


def test_a_better_epoch_starts_patience_and_plateau_again() -> None:
    progress, recipe = StageProgress(), Recipe(patience=4)
    improvements = [count_epoch(progress, loss, recipe) for loss in (1.0, 1.0, 0.5, 0.5, 0.5, 0.49995)]
    assert improvements == [True, False, True, False, False, False], "a gain of less than 1e-4 nats does not count"
    assert (progress.best_epoch, progress.best_loss) == (3, 0.5)
    assert progress.epochs_since_best == 3
    assert progress.plateau_factor == pytest.approx(0.1)
    assert not progress.is_stopped


def test_a_cosine_stops_by_patience_alone() -> None:
    progress, recipe = StageProgress(), Recipe(schedule="cosine", patience=5)
    count_epoch(progress, 1.0, recipe)
    while not progress.is_stopped:
        count_epoch(progress, 2.0, recipe)
    assert (progress.epoch, progress.plateau_factor) == (6, 1.0)


def test_a_loss_that_is_not_a_number_is_never_the_best() -> None:
    progress = StageProgress()
    assert not count_epoch(progress, float("nan"), Recipe())
    assert progress.best_epoch == 0
