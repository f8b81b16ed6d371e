"""The hyperparameters that a bank tries: how many, which, and what stays fixed."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest

from models.errors import UserError
from models.heads import HEADS, Candidate
from pipelines.fitting.candidates import HeadGrid, list_candidates, shortlist

# The grid of 16 that a linear head has by default, in the order in which it is tried.
DEFAULT_L2 = (1e-2, 3e-2, 1e-3, 1e-1, 3e-3, 3e-1, 1e-4, 1.0)
DEFAULT_RATES = (1e-3, 3e-3)


def list_for(head: str, count: int, *, seed: int = 1, **fixed: Any) -> tuple[Candidate, ...]:
    grid = HeadGrid(**{"head": HEADS[head], "num_features": 8, "num_classes": 3, "optimizer": "adam", **fixed})
    return list_candidates(grid, count=count, seed=seed)


@pytest.mark.parametrize(
    ("head", "count", "fixed", "expected"),
    [
        ("linear", 64, {}, 64),
        ("linear", 5, {}, 5),
        ("linear", 64, {"l2": 0.1, "learning_rate": 1e-3}, 1),
        ("linear", 64, {"dropout": 0.5}, 64),
        ("mlp", 64, {}, 64),
        ("mlp", 3, {"l2": 0.0}, 3),
    ],
)
def test_a_bank_holds_as_many_heads_as_differ(head: str, count: int, fixed: dict[str, Any], expected: int) -> None:
    candidates = list_for(head, count, **fixed)
    assert len(candidates) == expected == len(set(candidates))
    for name, value in fixed.items():
        assert {getattr(candidate, name) for candidate in candidates} == {value}


@pytest.mark.parametrize("count", [1, 7, 16])
def test_up_to_sixteen_linear_heads_are_the_first_of_the_grid(count: int) -> None:
    grid = [
        Candidate(l2=l2, learning_rate=rate, dropout=0.0, seed=1) for rate, l2 in product(DEFAULT_RATES, DEFAULT_L2)
    ]
    assert list_for("linear", count) == tuple(grid[:count])


def test_sgd_takes_ten_times_larger_rates() -> None:
    assert {candidate.learning_rate for candidate in list_for("linear", 16, optimizer="sgd")} == {0.01, 0.03}


@pytest.mark.parametrize(("name", "fixed_value", "num_default"), [("l2", 0.1, 2), ("learning_rate", 2e-3, 8)])
def test_a_fixed_value_leaves_the_other_axis_of_the_grid(name: str, fixed_value: float, num_default: int) -> None:
    fixed: dict[str, Any] = {name: fixed_value}
    candidates = list_for("linear", 16, **fixed)
    assert len(candidates) == num_default
    assert {getattr(candidate, name) for candidate in candidates} == {fixed_value}


@pytest.mark.parametrize("count", [17, 24, 33, 64, 200])
@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_more_linear_heads_are_the_default_ones_and_others_that_differ(count: int, optimizer: str) -> None:
    default, candidates = (list_for("linear", number, optimizer=optimizer) for number in (16, count))
    assert candidates[:16] == default
    assert len(candidates) == count
    points = {(candidate.l2, candidate.learning_rate) for candidate in candidates}
    assert len(points) == count, "a linear head is convex: another seed gives the same head again"
    # The likely range: the grid becomes finer, and a little wider.
    assert min(l2 for l2, _ in points) >= 1e-5 and max(l2 for l2, _ in points) <= 10
    rates, default_rates = (sorted({candidate.learning_rate for candidate in heads}) for heads in (candidates, default))
    assert default_rates[0] / 4 <= rates[0] and rates[-1] <= 4 * default_rates[-1]


def test_more_heads_try_both_axes() -> None:
    candidates = list_for("linear", 64)
    assert len({candidate.l2 for candidate in candidates}) > 8
    assert len({candidate.learning_rate for candidate in candidates}) > 2


@pytest.mark.parametrize(("name", "fixed_value"), [("l2", 0.1), ("l2", 0.0), ("learning_rate", 2e-3)])
def test_a_fixed_value_stays_fixed_however_many_heads_are_tried(name: str, fixed_value: float) -> None:
    fixed: dict[str, Any] = {name: fixed_value}
    default, some, many = (list_for("linear", count, **fixed) for count in (16, 32, 10_000))
    assert {getattr(candidate, name) for candidate in many} == {fixed_value}
    assert set(default) < set(some) < set(many)
    assert len(some) == 32
    # The free axis is only refined while it makes a difference.
    free = sorted(getattr(candidate, "learning_rate" if name == "l2" else "l2") for candidate in many)
    assert all(high / low > 1.02 for low, high in pairwise(free))


def test_heads_that_depend_on_their_seed_go_through_the_grid_again() -> None:
    candidates = list_for("mlp", 30, seed=5)
    assert [candidate.seed for candidate in candidates] == [5] * 24 + [6] * 6
    # A linear head with dropout and nothing else to vary.
    assert [candidate.seed for candidate in list_for("linear", 3, dropout=0.5, l2=0.1, learning_rate=1e-3)] == [1, 2, 3]


def grid_of(head: str, num_features: int, num_classes: int) -> HeadGrid:
    return HeadGrid(head=HEADS[head], num_features=num_features, num_classes=num_classes, optimizer="adam")


@pytest.mark.parametrize(
    ("head", "num_features", "num_classes", "expected"),
    [
        ("linear", 256, 10_000, 3),
        ("linear", 2048, 10_000, 1),
        ("linear", 1000, 400, 20),
        # 256 hidden units: 65,536 weights below them and 2,560,000 above.
        ("mlp", 256, 10_000, 3),
    ],
)
def test_thousands_of_classes_make_a_bank_smaller_and_it_says_so(
    head: str, num_features: int, num_classes: int, expected: int
) -> None:
    grid = grid_of(head, num_features, num_classes)
    heads = shortlist(grid, count=64, seed=0)
    assert heads.candidates == list_candidates(grid, count=64, seed=0)[:expected]
    (note,) = heads.notes
    assert note.startswith(f"{expected} of 64 heads ") and f"{num_classes:,} classes" in note


def test_a_bank_with_all_heads_that_differ_has_no_note() -> None:
    small = shortlist(grid_of("linear", 256, 40), count=64, seed=0)
    assert (len(small.candidates), small.notes) == (64, ())
    fixed = replace(grid_of("linear", 256, 10_000), l2=0.1, learning_rate=1e-3)
    assert shortlist(fixed, count=64, seed=0).notes == (), "one head was all that could differ"


def test_a_head_that_memory_cannot_hold_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.fitting.candidates.free_memory", lambda: 8_000_000_000)
    assert shortlist(grid_of("linear", 2048, 10_000), count=1, seed=0).notes == ()
    with pytest.raises(UserError, match=r"627,200,000 weights: training it takes about \d+\.\d GB .* 8.0 GB are free"):
        shortlist(grid_of("linear", 62_720, 10_000), count=1, seed=0)
    monkeypatch.setattr("pipelines.fitting.candidates.free_memory", lambda: None)
    assert len(shortlist(grid_of("linear", 62_720, 10_000), count=1, seed=0).candidates) == 1
