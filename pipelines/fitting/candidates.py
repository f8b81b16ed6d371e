"""Lists the hyperparameters that a bank of heads tries: the user's values are fixed, the others form a grid."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

from models.bank import Candidate, Optimizer
from models.heads import Head

MAX_WEIGHTS = 8_000_000  # of a whole bank: with thousands of classes there are fewer heads in it


@dataclass(frozen=True, slots=True, kw_only=True)
class HeadGrid:
    """What the candidates of one head have in common.

    Attributes:
        head: their shape.
        num_features: length of a feature vector.
        num_classes: number of classes.
        optimizer: the rule; SGD takes larger steps.
        l2: strength of the penalty, or None for a grid.
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


def list_candidates(grid: HeadGrid, *, count: int, seed: int) -> tuple[Candidate, ...]:
    """List the hyperparameters of the heads of a bank.

    Args:
        grid: what is fixed, and what the heads are.
        count: how many at most.
        seed: of the first; further rounds of the grid take the next.
    """
    head = grid.head
    scale = 10.0 if grid.optimizer == "sgd" else 1.0
    # The middle of each grid comes first: a small bank holds the likely values.
    strengths = (1e-2, 3e-2, 1e-3, 1e-1, 3e-3, 3e-1, 1e-4, 1.0) if head.hidden == 0 else (1e-2, 1e-3, 3e-2, 1e-4)
    rates = (1e-3 * scale, 3e-3 * scale) if head.hidden == 0 else (1e-3 * scale, 3e-4 * scale)
    drops = (head.dropout, 0.7, 0.3) if head.hidden else (head.dropout,)
    points = [
        (drop, rate, strength)
        for rate in ((grid.learning_rate,) if grid.learning_rate is not None else rates)
        for drop in ((grid.dropout,) if grid.dropout is not None else drops)
        for strength in ((grid.l2,) if grid.l2 is not None else strengths)
    ]
    weights = grid.num_features * head.hidden if head.hidden else grid.num_features * grid.num_classes
    count = max(1, min(count, MAX_WEIGHTS // weights))
    rounds = itertools.count(seed)
    chosen: list[Candidate] = []
    while len(chosen) < count:
        number = next(rounds)
        chosen += [
            Candidate(l2=strength, learning_rate=rate, dropout=drop, seed=number) for drop, rate, strength in points
        ]
        if head.hidden == 0 and not any(drop for drop, _, _ in points):
            break  # a linear head without dropout is convex: another seed would be the same head again
    return tuple(chosen[:count])
