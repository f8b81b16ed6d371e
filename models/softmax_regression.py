"""Solves penalised softmax regressions by L-BFGS, several at once on the same rows.

A linear head is a convex problem: it has one optimum, which no seed, learning rate or number of epochs changes. All
heads share each pass over the rows, so that one matrix product serves all of them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Protocol

import numpy as np

if TYPE_CHECKING:
    from models.arrays import Doubles, FeatureRows, Flags, Indices, Labels, Singles, Weights

HISTORY = 8  # pairs of steps and changes of the gradient that are kept, for each head
MAX_ITERATIONS = 300
# A head is solved when the next step promises to lower its objective by less than this share of it.
TOLERANCE = 3e-5
FIRST_STEP = 0.1  # length of the first step from zero, in weights
SHORTER, MAX_SHORTENED = 0.4, 12  # factor on a step that does not lower the objective, and how often
LEAST_DESCENT = 1e-4  # share of what the slope promises that a step must reach (Nocedal & Wright 2006, eq. 3.4)
ROUNDING = 1e-6  # share of the objective that single precision may hide
MAX_LOGITS = 2**24  # of one block of rows: 64 MB
# Memory of each weight of a head while it is solved: the history, and the current and next weights and gradients.
BYTES_PER_WEIGHT = 4 * (2 * HISTORY + 6)


class RowBlocks(Protocol):
    """Rows of features that can be read again and again, in blocks."""

    num_features: int

    def blocks(self, size: int) -> Iterator[tuple[slice, FeatureRows]]:
        """Places and rows (at most `size`, num_features), in order; all rows once."""


@dataclass(slots=True, kw_only=True, eq=False)
class SolvedHeads:
    """Linear heads, and what helps to solve their neighbours.

    Attributes:
        weights: (features + 1, heads, classes); the last row is the bias.
        steps: (heads,) length of a first step from here, as a factor on the gradient; 0 where none is known.
        iterations: (heads,) that solving took.
    """

    weights: Singles
    steps: Singles
    iterations: Indices = field(default_factory=lambda: np.zeros(0, np.intp))

    def logits(self, rows: FeatureRows, head: int) -> Singles:
        """Logits (rows, classes) of one head."""
        return rows @ self.weights[:-1, head] + self.weights[-1, head]


def start_at_zero(num_features: int, num_heads: int, num_classes: int) -> SolvedHeads:
    """Heads that give every class the same probability."""
    weights = np.zeros((num_features + 1, num_heads, num_classes), np.float32)
    return SolvedHeads(weights=weights, steps=np.zeros(num_heads, np.float32))


def solve(
    rows: RowBlocks,
    labels: Labels,
    image_weights: Weights,
    l2: Sequence[float],
    start: SolvedHeads,
    *,
    tolerance: float = TOLERANCE,
) -> SolvedHeads:
    """Minimise, for each head, the weighted mean log-loss plus `l2 / 2` times the sum of the squared kernel.

    The method is L-BFGS (Liu & Nocedal 1989) with backtracking; each head has its own history and step, and leaves when
    it is solved.

    Args:
        rows: (rows, features), standardised: the penalty counts all features alike.
        labels: (rows,) class indices.
        image_weights: (heads, rows), not all zero for any head; 0 leaves a row out of a head.
        l2: (heads,) strengths of the penalty on the kernel; the bias is free.
        start: where to begin, such as the solution for another penalty.
        tolerance: a head is solved when a step promises less than this share of its objective.
    """
    normed = image_weights / image_weights.sum(1, keepdims=True, dtype=np.float64)
    problem = _Problem(rows, labels, normed.astype(np.float32), np.asarray(l2, np.float32))
    search = _Search(problem, start)
    for _ in range(MAX_ITERATIONS):
        if not len(search.heads):
            break
        search.iterate(tolerance)
    search.leave(np.ones(len(search.heads), bool))
    return SolvedHeads(weights=search.solved, steps=search.steps, iterations=search.iterations)


class _Problem:
    """The objectives of all heads."""

    def __init__(self, rows: RowBlocks, labels: Labels, image_weights: Weights, l2: Singles) -> None:
        self.rows, self.labels, self.image_weights, self.l2 = rows, labels, image_weights, l2

    def evaluate(self, weights: Singles, heads: Indices) -> tuple[Doubles, Singles]:
        """The objectives (heads,) of some heads, and their gradients, shaped like `weights`."""
        height, count, classes = weights.shape
        kernel, penalty = weights[:-1], self.l2[heads]
        objective = 0.5 * penalty * np.einsum("dhc,dhc->h", kernel, kernel, dtype=np.float64)
        gradient = np.empty_like(weights)
        gradient[:-1] = penalty[None, :, None] * kernel
        gradient[-1] = 0.0
        flat = np.ascontiguousarray(kernel.reshape(height - 1, -1))
        for places, rows in self.rows.blocks(max(1, MAX_LOGITS // (count * classes))):
            logits = (rows @ flat).reshape(-1, count, classes) + weights[-1]
            losses, residuals = _losses(logits, self.labels[places])
            share = self.image_weights[heads, places].T
            objective += (losses * share).sum(0, dtype=np.float64)
            residuals *= share[..., None]
            gradient[:-1] += (rows.T @ residuals.reshape(len(rows), -1)).reshape(height - 1, count, classes)
            gradient[-1] += residuals.sum(0)
        return objective, gradient


class _Search:
    """L-BFGS on the heads that are not solved yet.

    Attributes:
        heads: numbers of those heads; the second axis of all arrays counts them.
        solved: weights of the heads that left, in their places.
        steps: as in `SolvedHeads`, of all heads.
        iterations: (heads,) of all heads.
    """

    def __init__(self, problem: _Problem, start: SolvedHeads) -> None:
        self._problem = problem
        self.heads = np.arange(start.weights.shape[1])
        self.solved, self.steps = start.weights.copy(), start.steps.copy()
        self.iterations = np.zeros(len(self.heads), np.intp)
        self._weights = start.weights.copy()
        self._objective, self._gradient = problem.evaluate(self._weights, self.heads)
        # Steps, changes of the gradient, and 1 / their product (0 where the pair says nothing), the oldest first.
        self._pairs: list[tuple[Singles, Singles, Singles]] = []

    def iterate(self, tolerance: float) -> None:
        """Take one step with each head; those that are solved leave."""
        direction = self._direction()
        slope = -_dot(self._gradient, direction)
        is_solved = np.abs(slope) < tolerance * np.maximum(self._objective, 1e-12)
        if is_solved.any():
            direction, slope = direction[:, ~is_solved], slope[~is_solved]
            self.leave(is_solved)
            if not len(self.heads):
                return
        self._step(direction, slope)
        self.iterations[self.heads] += 1

    def leave(self, is_leaving: Flags) -> None:
        """Keep the weights of heads where they are, and go on without them."""
        leaving, stays = self.heads[is_leaving], ~is_leaving
        self.solved[:, leaving] = self._weights[:, is_leaving]
        if self._pairs:
            self.steps[leaving] = self._scale()[is_leaving]
        self.heads = self.heads[stays]
        self._weights, self._gradient = self._weights[:, stays], self._gradient[:, stays]
        self._objective = self._objective[stays]
        self._pairs = [(step[:, stays], change[:, stays], rate[stays]) for step, change, rate in self._pairs]

    def _direction(self) -> Singles:
        """The gradient times an estimate of the inverse Hessian (Nocedal & Wright 2006, algorithm 7.4)."""
        direction, factors = self._gradient.copy(), []
        for step, change, rate in reversed(self._pairs):
            factor = rate * _dot(step, direction)
            direction -= factor[None, :, None] * change
            factors.append(factor)
        direction *= self._scale()[None, :, None]
        for (step, change, rate), factor in zip(self._pairs, reversed(factors), strict=True):
            direction += (factor - rate * _dot(change, direction))[None, :, None] * step
        return direction

    def _scale(self) -> Singles:
        """(heads,) first guess of the inverse Hessian, as a multiple of the unit matrix (the same, eq. 7.20)."""
        if self._pairs:
            _, change, rate = self._pairs[-1]
            denominator = rate * _dot(change, change)
            return np.where(denominator > 0, 1 / np.maximum(denominator, 1e-30), 1e-3).astype(np.float32)
        steps = self.steps[self.heads]
        lengths = np.sqrt(_dot(self._gradient, self._gradient))
        return np.where(steps > 0, steps, FIRST_STEP / np.maximum(lengths, 1e-12)).astype(np.float32)

    def _step(self, direction: Singles, slope: Singles) -> None:
        """Go along a direction as far as the objective falls, and remember the pair."""
        lengths = np.ones(len(self.heads), np.float32)
        weights = self._weights - direction
        objective, gradient = self._problem.evaluate(weights, self.heads)
        for _ in range(MAX_SHORTENED):
            limit = self._objective + LEAST_DESCENT * lengths * slope + ROUNDING * self._objective
            # A loss that is not finite never compares as less.
            is_long = np.flatnonzero(~(objective <= limit))
            if not len(is_long):
                break
            lengths[is_long] *= SHORTER
            weights[:, is_long] = self._weights[:, is_long] - lengths[is_long][None, :, None] * direction[:, is_long]
            objective[is_long], gradient[:, is_long] = self._problem.evaluate(
                np.ascontiguousarray(weights[:, is_long]), self.heads[is_long]
            )
        step, change = weights - self._weights, gradient - self._gradient
        curvature = _dot(step, change)
        rate = np.where(curvature > 1e-12, 1 / np.maximum(curvature, 1e-12), 0.0).astype(np.float32)
        self._pairs = [*self._pairs[-HISTORY + 1 :], (step, change, rate)]
        self._weights, self._objective, self._gradient = weights, objective, gradient


def _losses(logits: Singles, labels: Labels) -> tuple[Singles, Singles]:
    """Log-losses (rows, heads), and probabilities less the truth (rows, heads, classes), which replace the logits."""
    logits -= logits.max(-1, keepdims=True)
    of_truth = np.take_along_axis(logits, labels[:, None, None].astype(np.intp), -1)[..., 0]
    np.exp(logits, out=logits)
    total = logits.sum(-1)
    losses = np.log(total) - of_truth
    logits /= total[..., None]
    logits[np.arange(len(labels)), :, labels] -= 1.0
    return losses, logits


def _dot(first: Singles, second: Singles) -> Singles:
    """(heads,) inner products of arrays (values, heads, classes)."""
    return np.einsum("dhc,dhc->h", first, second)
