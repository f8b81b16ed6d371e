"""Which heads a bank tries: what the user gave is fixed, the rest is a grid."""

from __future__ import annotations

import itertools

from models.bank import Candidate, Optimizer
from models.heads import Head

MAX_WEIGHTS = 8_000_000  # of a whole bank: with thousands of classes there are fewer heads in it


def candidates(
    head: Head,
    *,
    count: int,
    num_features: int,
    num_classes: int,
    seed: int,
    l2: float | None,
    learning_rate: float | None,
    dropout: float | None,
    optimizer: Optimizer,
) -> tuple[Candidate, ...]:
    """What the heads of a bank are trained with: what is given is fixed, the rest is spread over a grid.

    Args:
        head: their shape.
        count: how many at most.
        num_features: length of a feature vector.
        num_classes: number of classes.
        seed: of the first; further rounds of the grid take the next.
        l2: strength of the penalty, or None for a grid.
        learning_rate: first learning rate, or None for a grid.
        dropout: rate, or None for a grid around the head's own.
        optimizer: SGD takes larger steps.
    """
    scale = 10.0 if optimizer == "sgd" else 1.0
    # The middle of each grid comes first: a small bank holds the likely values.
    strengths = (1e-2, 3e-2, 1e-3, 1e-1, 3e-3, 3e-1, 1e-4, 1.0) if head.hidden == 0 else (1e-2, 1e-3, 3e-2, 1e-4)
    rates = (1e-3 * scale, 3e-3 * scale) if head.hidden == 0 else (1e-3 * scale, 3e-4 * scale)
    drops = (head.dropout, 0.7, 0.3) if head.hidden else (head.dropout,)
    grid = [
        (drop, rate, strength)
        for rate in ((learning_rate,) if learning_rate is not None else rates)
        for drop in ((dropout,) if dropout is not None else drops)
        for strength in ((l2,) if l2 is not None else strengths)
    ]
    weights = num_features * head.hidden if head.hidden else num_features * num_classes
    count = max(1, min(count, MAX_WEIGHTS // weights))
    rounds = itertools.count(seed)
    chosen: list[Candidate] = []
    while len(chosen) < count:
        number = next(rounds)
        chosen += [
            Candidate(l2=strength, learning_rate=rate, dropout=drop, seed=number) for drop, rate, strength in grid
        ]
        if head.hidden == 0 and not any(drop for drop, _, _ in grid):
            break  # a linear head without dropout is convex: another seed would be the same head again
    return tuple(chosen[:count])
