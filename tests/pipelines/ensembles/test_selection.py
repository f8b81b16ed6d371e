"""Selection on a case worked out by hand, under budgets, and against chance."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from scipy.optimize import minimize

from models.errors import UserError
from pipelines.ensembles.selection import Budget, Cost, affordable, convex, forward_selection, greedy, price, shares

# Two images. A is right on the first, B on the second, C is middling on both.
#   alone:  A: -(ln .9 + ln .2)/2 = .857   B: -(ln .1 + ln .8)/2 = 1.263   C: -(ln .4 + ln .4)/2 = .916
#   A first. Then with A: AA .857; AB: means (.5, .5) -> .693; AC: (.65, .3) -> .817. B is taken.
#   Third: ABA: (.633, .4) -> .687; ABB: (.367, .6) -> .757; ABC: (.467, .467) -> .762. A is taken again.
#   Fourth: ABAA: (.7, .35) -> .704; ABAB: (.5, .5) -> .693; ABAC: (.575, .4) -> .735. None is better than ABA.
BY_HAND = np.array([[0.9, 0.2], [0.1, 0.8], [0.4, 0.4]])


def loss(weights: np.ndarray, true_class: np.ndarray) -> float:
    return float(-np.log(weights @ true_class).mean())


def test_forward_selection_by_hand() -> None:
    assert forward_selection(BY_HAND, rounds=1) == [0]
    assert forward_selection(BY_HAND, rounds=2) == [0, 1]
    assert forward_selection(BY_HAND, rounds=3) == [0, 1, 0]
    assert forward_selection(BY_HAND, rounds=4) == [0, 1, 0]
    assert greedy(BY_HAND, bags=0)[2] == 0


def test_a_member_that_is_best_everywhere_stays_alone() -> None:
    true_class = np.array([[0.9, 0.8, 0.7], [0.5, 0.5, 0.5]])
    assert forward_selection(true_class) == [0]


def test_a_probability_of_zero_costs_no_infinite_loss() -> None:
    assert forward_selection(np.array([[0.0, 1.0], [0.5, 0.5]])) == [1]


def drawn(members: int, images: int, seed: int) -> np.ndarray:
    """Members of the same worth that err independently."""
    return np.random.default_rng(seed).beta(2, 1, (members, images))


def test_bags_spread_the_weights_and_generalise_better() -> None:
    gains = []
    for seed in range(20):
        few, many = drawn(10, 40, seed), drawn(10, 5000, 1000 + seed)
        gains.append(loss(greedy(few, bags=0), many) - loss(greedy(few, seed=seed), many))
    assert np.mean(gains) > 0


def test_greedy_is_reproducible() -> None:
    true_class = drawn(5, 50, 0)
    assert np.array_equal(greedy(true_class, seed=1), greedy(true_class, seed=1))
    assert greedy(true_class).sum() == pytest.approx(1)


def test_convex_weights_are_the_optimum() -> None:
    true_class = drawn(4, 200, 3) * np.array([[1.0], [0.9], [0.5], [0.98]])
    weights = convex(true_class)
    start, bounds = np.full(4, 0.25), [(0, 1)] * 4
    constraint = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    best = minimize(lambda weights: loss(weights, true_class), start, bounds=bounds, constraints=constraint, tol=1e-10)
    assert loss(weights, true_class) == pytest.approx(best.fun, abs=1e-5)
    assert weights.sum() == pytest.approx(1)
    assert weights.min() >= 0


def test_convex_weights_of_a_useless_member_are_zero() -> None:
    true_class = np.vstack([drawn(2, 300, 0), np.full((1, 300), 0.01)])
    assert convex(true_class)[2] == 0


COSTS = (
    Cost(backbone="large", backbone_ms=50, backbone_mb=100, head_ms=1, head_mb=2),
    Cost(backbone="small", backbone_ms=10, backbone_mb=20, head_ms=1, head_mb=2),
    Cost(backbone="small", backbone_ms=10, backbone_mb=20, head_ms=1, head_mb=2),
    Cost(backbone="middle", backbone_ms=20, backbone_mb=30, head_ms=1, head_mb=2),
)


def test_a_shared_backbone_is_paid_once() -> None:
    assert price(COSTS[1:3]) == (12, 24)
    assert price(COSTS) == (84, 158)


def test_a_budget_is_kept_by_the_best_affordable_selection() -> None:
    true_class = drawn(4, 200, 0)
    true_class[0] = 0.9  # the best by far, and the dearest
    assert affordable(true_class, COSTS, Budget()) == tuple(sorted(set(forward_selection(true_class))))
    chosen = affordable(true_class, COSTS, Budget(latency_ms=33))
    assert 0 not in chosen
    assert price([COSTS[place] for place in chosen])[0] <= 33
    best = min(
        loss(shares(forward_selection(true_class[list(subset)]), len(subset)), true_class[list(subset)])
        for count in (1, 2, 3)
        for subset in itertools.combinations(range(4), count)
        if price([COSTS[place] for place in subset])[0] <= 33
    )
    selected = true_class[list(chosen)]
    assert loss(shares(forward_selection(selected), len(selected)), selected) == pytest.approx(best, abs=1e-3)


def test_a_dear_best_member_does_not_bar_a_better_pair() -> None:
    # The dear one is best alone; the two cheap ones together are better, and only they fit beside each other.
    true_class = np.array([[0.6, 0.6], [0.95, 0.35], [0.35, 0.95], [0.3, 0.3]])
    assert forward_selection(true_class, rounds=1) == [0]
    assert affordable(true_class, COSTS, Budget(latency_ms=55)) == (1, 2)


def test_no_member_in_the_budget_says_what_the_cheapest_costs() -> None:
    with pytest.raises(UserError) as raised:
        affordable(drawn(4, 10, 0), COSTS, Budget(latency_ms=5, size_mb=500))
    expected = (
        "no member fits the budget of 5 ms an image (the fastest takes 11 ms) and 500 MB (the smallest has 22 MB)"
    )
    assert raised.value.message == expected
