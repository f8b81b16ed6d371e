"""Selects members and their weights by their predictions on validation images.

The log-loss of a weighted mean of probabilities needs one number of each member for each image: the probability that
it gives to the true class. Everything here works on that array, (members, images).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np

from models.arrays import Doubles, Indices, Labels, Probabilities
from models.errors import UserError
from pipelines.evaluation.metrics import SMALLEST

# Whether a member may be added to those that are selected.
IsAllowed: TypeAlias = Callable[[frozenset[int], int], bool]
ROUNDS = 50
BAGS = 20
BAGGED_IMAGES = 5000  # with more images, bootstrap samples select the same members and only cost time


@dataclass(frozen=True, slots=True, kw_only=True)
class Cost:
    """What a member costs at prediction; members on one backbone share its cost.

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

    def allows(self, costs: Sequence[Cost]) -> bool:
        """Whether members of these costs fit it together."""
        latency, size = price(costs)
        return (self.latency_ms is None or latency <= self.latency_ms) and (
            self.size_mb is None or size <= self.size_mb
        )


def of_true_class(probabilities: Probabilities | Doubles, labels: Indices | Labels) -> Doubles:
    """(members, images) of (members, images, classes): the probability of each image's true class."""
    return np.asarray(probabilities[:, np.arange(len(labels)), labels], np.float64)


def greedy(true_class: Doubles, *, seed: int = 0, bags: int = BAGS) -> Doubles:
    """Weights (members,) by forward selection with replacement (Caruana et al. 2004, doi:10.1145/1015330.1015432).

    A selection on few validation images is left to chance; the weights are therefore means over selections on `bags`
    bootstrap samples of the images. (Caruana's bags are samples of members; of few members they would include poor
    ones.)

    Args:
        true_class: (members, images) probabilities of the true classes.
        seed: of the bootstrap.
        bags: how many samples; 0 for one selection on the images themselves.
    """
    num_members, num_images = true_class.shape
    if not bags or num_images > BAGGED_IMAGES or num_members == 1:
        return shares(forward_selection(true_class), num_members)
    generator = np.random.default_rng(seed)
    samples = (generator.integers(0, num_images, num_images) for _ in range(bags))
    selections = [shares(forward_selection(true_class[:, sample]), num_members) for sample in samples]
    return np.asarray(np.mean(selections, axis=0), np.float64)


def forward_selection(
    true_class: Doubles, *, rounds: int = ROUNDS, first: int | None = None, is_allowed: IsAllowed | None = None
) -> list[int]:
    """Members in the order of their selection, with repetitions, up to where the log-loss was least.

    Each round adds the member with which the mean of the selected has the least log-loss; of equal ones the first.

    Args:
        true_class: (members, images) probabilities of the true classes.
        rounds: at most.
        first: a member to begin with; None for the best.
        is_allowed: whether a member may be added; None for always.

    Returns:
        Indices of members; empty when none was allowed.
    """
    clipped = np.clip(true_class, SMALLEST, None)
    total = np.zeros(true_class.shape[1])
    selected: list[int] = []
    best_loss, best_count = np.inf, 0
    for size in range(1, rounds + 1):
        members = frozenset(selected)
        candidates = [first] if first is not None and not selected else range(len(clipped))
        allowed = [
            place for place in candidates if is_allowed is None or place in members or is_allowed(members, place)
        ]
        if not allowed:
            break
        losses = -np.log((total + clipped[allowed]) / size).mean(1)
        lowest = int(losses.argmin())
        selected.append(allowed[lowest])
        total += clipped[allowed[lowest]]
        # Without the margin, rounding would count as a gain when a single best member is added again and again.
        if losses[lowest] < best_loss - 1e-12:
            best_loss, best_count = float(losses[lowest]), size
    return selected[:best_count]


def convex(true_class: Doubles, *, steps: int = 5000) -> Doubles:
    """Weights (members,), not negative and with sum 1, that minimise the log-loss of the weighted mean.

    Expectation maximisation for the weights of a mixture: each step lowers the loss, and the problem is convex.
    """
    clipped = np.clip(true_class, SMALLEST, None)
    weights = np.full(len(clipped), 1 / len(clipped))
    for _ in range(steps):
        updated = weights * (clipped / (weights @ clipped)).mean(1)
        largest_change = np.abs(updated - weights).max()
        weights = updated
        if largest_change < 1e-7:
            break
    weights[weights < 1e-3] = 0  # they approach zero and never reach it
    return np.asarray(weights / weights.sum(), np.float64)


def shares(selected: Sequence[int], num_members: int) -> Doubles:
    """How often each member was selected, as weights (members,) with sum 1."""
    counts = np.bincount(np.asarray(selected, np.intp), minlength=num_members).astype(np.float64)
    return np.asarray(counts / counts.sum(), np.float64)


def affordable(true_class: Doubles, costs: Sequence[Cost], budget: Budget) -> tuple[int, ...]:
    """The members to choose from under a budget: together they fit it.

    Runs a forward selection that adds only what still fits, once from every member that fits alone: the best member
    may cost so much that nothing fits beside it.

    Args:
        true_class: (members, images) probabilities of the true classes.
        costs: of each member.
        budget: for all of them together.

    Returns:
        Indices of the selection with the least log-loss, in ascending order.

    Raises:
        UserError: no member fits alone.
    """

    def fits(members: frozenset[int], added: int) -> bool:
        return budget.allows([costs[place] for place in {*members, added}])

    starts = [place for place in range(len(costs)) if fits(frozenset(), place)]
    if not starts:
        raise UserError(_too_expensive(costs, budget), "raise the limit, or train members on smaller backbones")
    selections = [forward_selection(true_class, first=place, is_allowed=fits) for place in starts]
    means = [shares(selection, len(costs)) @ true_class for selection in selections]
    losses = [-np.log(np.clip(mean, SMALLEST, None)).mean() for mean in means]
    return tuple(sorted(set(selections[int(np.argmin(losses))])))


def price(costs: Sequence[Cost]) -> tuple[float, float]:
    """Milliseconds an image and megabytes of members together; each backbone counts once."""
    backbones = {cost.backbone: cost for cost in costs}.values()
    latency = sum(cost.backbone_ms for cost in backbones) + sum(cost.head_ms for cost in costs)
    return latency, sum(cost.backbone_mb for cost in backbones) + sum(cost.head_mb for cost in costs)


def _too_expensive(costs: Sequence[Cost], budget: Budget) -> str:
    prices = [price([cost]) for cost in costs]
    limits = []
    if budget.latency_ms is not None:
        fastest = min(latency for latency, _ in prices)
        limits.append(f"{budget.latency_ms:g} ms an image (the fastest takes {fastest:.3g} ms)")
    if budget.size_mb is not None:
        smallest = min(size for _, size in prices)
        limits.append(f"{budget.size_mb:g} MB (the smallest has {smallest:.3g} MB)")
    return f"no member fits the budget of {' and '.join(limits)}"
