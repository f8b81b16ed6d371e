"""Choose members and their weights by what they answered on validation images. Pure numpy.

The log-loss of a weighted mean of probabilities needs one number of each member for each image: the probability it
gave to the right class. That (members, images) array, `chances`, is what everything here works on.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from models.errors import UserError
from pipelines.evaluation.metrics import SMALLEST

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]
Allowed = Callable[[frozenset[int], int], bool]
ROUNDS = 50
BAGS = 20
BAGGED_IMAGES = 5000  # with more of them chance has no say in the choice, and bags only cost time


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a member costs at prediction; members on one backbone pay for it once.

    Attributes:
        backbone: a key that members on the same backbone share.
        backbone_ms: milliseconds an image.
        backbone_mb: megabytes on disk.
        head_ms: milliseconds an image for the head alone.
        head_mb: megabytes of the head.
    """

    backbone: str
    backbone_ms: float
    backbone_mb: float
    head_ms: float = 0.0
    head_mb: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What an ensemble may cost; None for no limit.

    Attributes:
        latency_ms: milliseconds an image.
        size_mb: megabytes on disk.
    """

    latency_ms: float | None = None
    size_mb: float | None = None


def greedy(chances: Floats, *, seed: int = 0, bags: int = BAGS) -> Floats:
    """Weights (members,) by forward selection with replacement (Caruana et al. 2004, doi:10.1145/1015330.1015432).

    Few validation images would choose by chance; the weights are therefore means over selections on `bags` bootstrap
    samples of the images. (Caruana's bags are samples of members; of few members they would force poor ones in.)

    Args:
        chances: (members, images) probabilities of the right classes.
        seed: of the bootstrap.
        bags: how many samples; 0 for one selection on the images themselves.
    """
    members, images = chances.shape
    if not bags or images > BAGGED_IMAGES or members == 1:
        return shares(forward_selection(chances), members)
    generator = np.random.default_rng(seed)
    drawn = (generator.integers(0, images, images) for _ in range(bags))
    found: Floats = np.mean([shares(forward_selection(chances[:, each]), members) for each in drawn], axis=0)
    return found


def forward_selection(
    chances: Floats, *, rounds: int = ROUNDS, first: int | None = None, allowed: Allowed | None = None
) -> list[int]:
    """Members in the order of their selection, with repetitions, up to where the log-loss was least.

    Each round adds the member with which the mean of the selected has the least log-loss; of equal ones the first.

    Args:
        chances: (members, images) probabilities of the right classes.
        rounds: at most.
        first: a member to begin with; None for the best.
        allowed: whether a member may be added to those selected; None for always.

    Returns:
        Indices of members; empty when none was allowed.
    """
    clipped = np.clip(chances, SMALLEST, None)
    total = np.zeros(chances.shape[1])
    selected: list[int] = []
    best, best_count = np.inf, 0
    for size in range(1, rounds + 1):
        there = frozenset(selected)
        choice = [first] if first is not None and not selected else range(len(clipped))
        open_to = [each for each in choice if allowed is None or each in there or allowed(there, each)]
        if not open_to:
            break
        losses = -np.log((total + clipped[open_to]) / size).mean(1)
        place = int(losses.argmin())
        selected.append(open_to[place])
        total += clipped[open_to[place]]
        # A rounding is no gain: without it a single best member would be taken again in every round.
        if losses[place] < best - 1e-12:
            best, best_count = float(losses[place]), size
    return selected[:best_count]


def convex(chances: Floats, *, steps: int = 5000) -> Floats:
    """Weights (members,), not negative and with sum 1, that minimise the log-loss of the weighted mean.

    Expectation maximisation for the weights of a mixture: each step lowers the loss, and the problem is convex.
    """
    clipped = np.clip(chances, SMALLEST, None)
    weights = np.full(len(clipped), 1 / len(clipped))
    for _ in range(steps):
        better = weights * (clipped / (weights @ clipped)).mean(1)
        moved = np.abs(better - weights).max()
        weights = better
        if moved < 1e-7:
            break
    weights[weights < 1e-3] = 0  # on its way to zero, which is never reached
    found: Floats = weights / weights.sum()
    return found


def shares(selected: Sequence[int], members: int) -> Floats:
    """How often each of the members was selected, as weights with sum 1."""
    counts = np.bincount(np.asarray(selected, np.intp), minlength=members).astype(np.float64)
    found: Floats = counts / counts.sum()
    return found


def affordable(chances: Floats, costs: Sequence[Cost], budget: Budget) -> tuple[int, ...]:
    """The members to choose from under a budget: together they are within it.

    Forward selection that adds only what can still be paid, once from every member that fits alone: the best member
    may cost so much that nothing fits beside it.

    Args:
        chances: (members, images) probabilities of the right classes.
        costs: of each member.
        budget: for all of them together.

    Returns:
        Indices of the selection with the least log-loss, in ascending order.

    Raises:
        UserError: no member fits alone.
    """

    def fits(there: frozenset[int], one: int) -> bool:
        latency, size = price([costs[each] for each in {*there, one}])
        return (budget.latency_ms is None or latency <= budget.latency_ms) and (
            budget.size_mb is None or size <= budget.size_mb
        )

    starts = [each for each in range(len(costs)) if fits(frozenset(), each)]
    if not starts:
        raise UserError(_too_dear(costs, budget), "raise the limit, or train members on smaller backbones")
    found = [forward_selection(chances, first=each, allowed=fits) for each in starts]
    losses = [-np.log(np.clip(shares(each, len(costs)) @ chances, SMALLEST, None)).mean() for each in found]
    return tuple(sorted(set(found[int(np.argmin(losses))])))


def price(costs: Sequence[Cost]) -> tuple[float, float]:
    """Milliseconds an image and megabytes of members together; each backbone counts once."""
    backbones = {each.backbone: each for each in costs}.values()
    latency = sum(each.backbone_ms for each in backbones) + sum(each.head_ms for each in costs)
    return latency, sum(each.backbone_mb for each in backbones) + sum(each.head_mb for each in costs)


def _too_dear(costs: Sequence[Cost], budget: Budget) -> str:
    prices = [price([each]) for each in costs]
    told = []
    if budget.latency_ms is not None:
        told.append(f"{budget.latency_ms:g} ms an image (the fastest takes {min(prices)[0]:.3g} ms)")
    if budget.size_mb is not None:
        told.append(f"{budget.size_mb:g} MB (the smallest has {min(size for _, size in prices):.3g} MB)")
    return f"no member fits the budget of {' and '.join(told)}"
