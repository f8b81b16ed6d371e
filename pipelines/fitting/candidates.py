"""Lists the hyperparameters that a bank of heads tries: the user's values are fixed, the others form a grid."""

from __future__ import annotations

import itertools
import math
from bisect import insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice, pairwise, product

from models.bank import Optimizer
from models.errors import UserError
from models.heads import Candidate, Head
from models.machine import free_memory

MAX_WEIGHTS = 8_000_000  # of a whole bank: with thousands of classes there are fewer heads in it
# Memory of training for each weight of a head: its values, gradient, moments and copies. Measured with Adam: 38 to 39,
# of 62,720 features and 1,000 classes and of 2,048 features and 10,000 classes.
BYTES_PER_WEIGHT = 40
# Values of the grids. The middle of each comes first: a small bank holds the likely values.
LINEAR_L2 = (1e-2, 3e-2, 1e-3, 1e-1, 3e-3, 3e-1, 1e-4, 1.0)
HIDDEN_L2 = (1e-2, 1e-3, 3e-2, 1e-4)
LINEAR_RATES = (1e-3, 3e-3)
HIDDEN_RATES = (1e-3, 3e-4)
HIDDEN_DROPOUTS = (0.7, 0.3)  # beside the head's own
SGD_SCALE = 10.0  # of the learning rates
# A linear head's grid grows to these values where more heads are asked for than it has points.
WIDER_L2 = (3e-5, 3.0)
WIDER_RATES = (3e-4, 1e-2)
LEAST_RATIO = 1.05  # of two neighbours in a grown grid: closer ones hardly differ


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadGrid:
    """The heads of a bank, and which of their hyperparameters are fixed.

    Attributes:
        head: the shape of all heads.
        num_features: length of a feature vector.
        num_classes: number of classes.
        optimizer: the rule.
        l2: strength of the L2 penalty, or None for a grid.
        learning_rate: the first learning rate, or None for a grid.
        dropout: rate in [0, 1), or None for a grid around the head's own.
    """

    head: Head
    num_features: int
    num_classes: int
    optimizer: Optimizer
    l2: float | None = None
    learning_rate: float | None = None
    dropout: float | None = None

    @property
    def num_weights(self) -> int:
        """Weights of one head, without biases."""
        if self.head.hidden:
            return self.head.hidden * (self.num_features + self.num_classes)
        return self.num_features * self.num_classes


@dataclass(frozen=True, slots=True, kw_only=True)
class Shortlist:
    """The hyperparameters of the heads of a bank.

    Attributes:
        candidates: one record a head, no two alike.
        notes: a line where these are fewer than were asked for and would differ; it goes into run.json.
    """

    candidates: tuple[Candidate, ...]
    notes: tuple[str, ...] = ()


def shortlist(grid: HeadGrid, *, count: int, seed: int) -> Shortlist:
    """List the hyperparameters of as many heads as a bank holds: `MAX_WEIGHTS` weights, and at least one head.

    Args:
        grid: the heads, and their fixed hyperparameters.
        count: how many are asked for.
        seed: as for `list_candidates`.

    Raises:
        UserError: the memory that is free does not suffice for one head.
    """
    _require_memory(grid)
    candidates, limit = list_candidates(grid, count=count, seed=seed), max(1, MAX_WEIGHTS // grid.num_weights)
    if len(candidates) <= limit:
        return Shortlist(candidates=candidates)
    note = (
        f"{limit} of {len(candidates)} heads {'is' if limit == 1 else 'are'} tried: "
        f"with {grid.num_classes:,} classes each has {grid.num_weights:,} weights"
    )
    return Shortlist(candidates=candidates[:limit], notes=(note,))


def list_candidates(grid: HeadGrid, *, count: int, seed: int) -> tuple[Candidate, ...]:
    """List the hyperparameters of heads, no two of them alike.

    For more than 16 linear heads the grid becomes wider and finer. Heads that depend on their seed go through the grid
    again, with the next seed.

    Args:
        grid: the heads, and their fixed hyperparameters.
        count: how many at most; the list is shorter where nothing else can vary.
        seed: of the first round through the grid.
    """
    head, points = grid.head, _points(grid)
    if not head.hidden and count > len(LINEAR_RATES) * len(LINEAR_L2):
        points += islice(_finer_points(grid), count)
    # A linear head without dropout is convex and starts at zero: another seed gives the same head again.
    rounds = itertools.count(seed) if head.hidden or points[0].dropout else [seed]
    candidates = (replace(point, seed=number) for number in rounds for point in points)
    return tuple(islice(candidates, count))


def _require_memory(grid: HeadGrid) -> None:
    needed, free = grid.num_weights * BYTES_PER_WEIGHT, free_memory()
    if free is not None and needed > free:
        raise UserError(
            f"a head of {grid.num_features:,} features and {grid.num_classes:,} classes has {grid.num_weights:,} "
            f"weights: training it takes about {needed / 1e9:,.1f} GB of memory, and {free / 1e9:,.1f} GB are free",
            "choose a backbone with fewer features, `--pooling avg`, or `--head mlp` with a small --hidden",
        )


def _points(grid: HeadGrid) -> list[Candidate]:
    """The points of the grid, the likely ones first."""
    head = grid.head
    rates: tuple[float, ...] = _scaled(HIDDEN_RATES if head.hidden else LINEAR_RATES, grid)
    strengths: tuple[float, ...] = HIDDEN_L2 if head.hidden else LINEAR_L2
    dropouts: tuple[float, ...] = (head.dropout, *HIDDEN_DROPOUTS) if head.hidden else (head.dropout,)
    if grid.learning_rate is not None:
        rates = (grid.learning_rate,)
    if grid.l2 is not None:
        strengths = (grid.l2,)
    if grid.dropout is not None:
        dropouts = (grid.dropout,)
    return [
        Candidate(l2=l2, learning_rate=rate, dropout=dropout, seed=0)
        for rate, dropout, l2 in product(rates, dropouts, strengths)
    ]


def _finer_points(grid: HeadGrid) -> Iterator[Candidate]:
    """Points around and between those of a linear head's grid; L2 strengths and learning rates grow in turn."""
    points = _points(grid)
    strengths = list(dict.fromkeys(point.l2 for point in points))
    rates = list(dict.fromkeys(point.learning_rate for point in points))
    while True:
        new_strengths = _finer(strengths, WIDER_L2) if grid.l2 is None else []
        new_points = list(product(rates, new_strengths))
        strengths += new_strengths
        new_rates = _finer(rates, _scaled(WIDER_RATES, grid)) if grid.learning_rate is None else []
        new_points += product(new_rates, strengths)
        rates += new_rates
        if not new_points:
            return
        for rate, l2 in new_points:
            yield replace(points[0], learning_rate=rate, l2=l2)


def _finer(values: Sequence[float], ends: Sequence[float]) -> list[float]:
    """At most as many new values: `ends`, then the middles of the widest gaps on a logarithmic scale."""
    new = [end for end in ends if end not in values]
    known = sorted([*values, *new])
    while len(new) < len(values):
        low, high = max(pairwise(known), key=lambda pair: pair[1] / pair[0])
        if high / low < LEAST_RATIO**2:
            break
        middle = float(f"{math.sqrt(low * high):.3g}")
        new.append(middle)
        insort(known, middle)
    return new


def _scaled(rates: tuple[float, ...], grid: HeadGrid) -> tuple[float, ...]:
    return tuple(rate * SGD_SCALE for rate in rates) if grid.optimizer == "sgd" else rates
