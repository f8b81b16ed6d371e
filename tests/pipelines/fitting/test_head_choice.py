"""What chooses a head: the folds, or a given validation part that contradicts them. Worked by hand."""

from __future__ import annotations

import numpy as np
import pytest

from models.softmax_regression import start_at_zero
from pipelines.fitting.head_choice import choose
from pipelines.fitting.penalty_path import Division, Judgement, Path, Solution

NUM_TRAIN, NUM_VALIDATION = 100, 60
WITH_GIVEN = Division(
    fold_of=np.concatenate([np.arange(NUM_TRAIN) % 5, np.full(NUM_VALIDATION, -1)]),
    num_folds=5,
    is_fitted=np.arange(NUM_TRAIN + NUM_VALIDATION) < NUM_TRAIN,
    weights=np.ones(NUM_TRAIN + NUM_VALIDATION, np.float32),
)


def solution(l2: float, out_of_fold: float | None, validation: float | None, *, spread: float = 0.0) -> Solution:
    """A solution of such mean losses; those of validation images alternate around theirs."""
    losses = np.full(NUM_TRAIN + NUM_VALIDATION, out_of_fold or 0.0)
    losses[NUM_TRAIN:] = (validation or 0.0) + spread * (-1.0) ** np.arange(NUM_VALIDATION)
    return Solution(
        l2=l2,
        heads=start_at_zero(1, 1, 2),
        probabilities=np.zeros((len(losses), 2), np.float32),
        losses=losses,
        out_of_fold=None if out_of_fold is None else Judgement(loss=out_of_fold, accuracy=0.9),
        validation=None if validation is None else Judgement(loss=validation, accuracy=0.9),
        training=Judgement(loss=0.0, accuracy=1.0),
    )


def path(best: Solution, best_on_validation: Solution | None = None) -> Path:
    return Path(tried=(), best=best, best_on_validation=best_on_validation)


def test_without_a_given_part_the_folds_choose() -> None:
    division = Division(
        fold_of=np.arange(10) % 5, num_folds=5, is_fitted=np.ones(10, bool), weights=np.ones(10, np.float32)
    )
    choice = choose({"last": path(solution(0.1, 0.4, None)), "levels": path(solution(0.03, 0.3, None))}, division)
    assert (choice.features, choice.solution.l2, choice.decider, choice.loss) == ("levels", 0.03, "folds", 0.3)
    assert choice.warning is None


def test_without_folds_the_validation_part_chooses() -> None:
    division = Division(
        fold_of=np.full(10, -1), num_folds=0, is_fitted=np.arange(10) < 5, weights=np.ones(10, np.float32)
    )
    best, other = solution(0.1, None, 0.4), solution(0.03, None, 0.3)
    choice = choose({"last": path(best, best), "levels": path(other, other)}, division)
    assert (choice.features, choice.decider, choice.loss) == ("levels", "validation", 0.3)


def test_a_given_part_that_agrees_or_cannot_tell_leaves_the_choice_to_the_folds() -> None:
    last, levels = solution(0.1, 0.40, 0.31, spread=0.3), solution(0.03, 0.30, 0.32)
    choice = choose({"last": path(last, last), "levels": path(levels, levels)}, WITH_GIVEN)
    # 0.01 nats better with a spread of 0.3: the interval, about 0.08 wide to either side, holds zero.
    assert (choice.features, choice.decider) == ("levels", "folds")


def test_a_given_part_has_the_last_word_where_the_difference_on_it_is_clear() -> None:
    last, levels = solution(0.1, 0.40, 0.31, spread=0.1), solution(0.03, 0.30, 0.45)
    choice = choose({"last": path(last, last), "levels": path(levels, levels)}, WITH_GIVEN)
    assert (choice.features, choice.solution.l2, choice.decider) == ("last", 0.1, "validation")
    assert "better than levels" in choice.line
    assert choice.warning is None


def test_folds_that_cannot_be_believed_choose_nothing() -> None:
    # The grocery set of bursts: 0.198 and 0.251 out of fold, 1.19 and 1.10 on the given part.
    levels, last = solution(0.01, 0.198, 1.19, spread=0.2), solution(0.03, 0.251, 1.10, spread=0.2)
    other = solution(0.3, 0.300, 1.05, spread=0.2)
    choice = choose({"last": path(last, other), "levels": path(levels, levels)}, WITH_GIVEN)
    # The penalty too is that of the least validation loss.
    assert (choice.features, choice.solution.l2, choice.decider, choice.loss) == ("last", 0.3, "validation", 1.05)
    assert choice.warning is not None
    assert "1.190 against 0.198" in choice.warning


@pytest.mark.parametrize("out_of_fold", [0.7, 0.02])
def test_folds_are_believed_where_the_part_is_a_little_harder(out_of_fold: float) -> None:
    only = solution(0.1, out_of_fold, out_of_fold + 0.09, spread=0.02)
    assert choose({"last": path(only, only)}, WITH_GIVEN).decider == "folds"
