"""Chooses features and penalty of a linear head by cross-validation, or by validation images, and fits it to all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Flags
from models.softmax_regression import SolvedHeads, solve, start_at_zero
from pipelines.evaluation.intervals import paired_bootstrap
from pipelines.fitting.penalty_path import Division, Path, Solution, follow_path
from pipelines.fitting.standardised import StandardisedRows
from pipelines.runs.cross_validation_record import Decider, FeatureLayers
from pipelines.system.progress import Reporter

# Folds are not believed where, with 97.5 % confidence, the loss on the given validation part is more than so many times
# that out of fold, and so many nats above it.
FAR, FAR_NATS = 2.0, 0.1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadPart:
    """A head whose logits are a share of those of the final head.

    Attributes:
        features: of which layers.
        solution: the heads of its penalty.
        share: in (0, 1]; 1 for the only one.
    """

    features: FeatureLayers
    solution: Solution
    share: float

    @property
    def num_features(self) -> int:
        """How many of the first features it knows."""
        return len(self.solution.heads.weights) - 1


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class HeadChoice:
    """The features and the penalty that were chosen.

    Attributes:
        features: of which layers; of several parts, those that hold the features of all.
        solution: its penalty, and its answers on images that it was not fitted to.
        parts: the heads whose logits are averaged; one where none are.
        decider: what chose.
        loss: log-loss that chose it, nats.
        line: says so, for people.
        warning: where folds and validation part disagree, what that means; None elsewhere.
    """

    features: FeatureLayers
    solution: Solution
    parts: tuple[HeadPart, ...]
    decider: Decider
    loss: float
    line: str
    warning: str | None = None


def follow_paths(
    rows: StandardisedRows,
    widths: Mapping[FeatureLayers, int],
    division: Division,
    penalties: Sequence[float],
    num_classes: int,
    reporter: Reporter,
) -> dict[FeatureLayers, Path]:
    """Try all penalties on each set of features.

    Args:
        rows: the features of the largest set; those of a smaller one come first.
        widths: set -> how many features it has.
        division: which images fit and judge.
        penalties: the greatest first.
        num_classes: number of classes.
        reporter: shows progress.
    """
    paths: dict[FeatureLayers, Path] = {}
    kind = "out-of-fold" if division.num_folds else "validation"
    with reporter.task("heads", len(widths) * len(penalties)) as task:
        for name, width in widths.items():

            def on_solution(solution: Solution, name: str = name) -> None:
                scores = solution.deciding
                task.advance(1, loss=f"{scores.loss:.3f}", accuracy=f"{scores.accuracy:.3f}")
                task.line(
                    f"{name}, l2 {solution.l2:g}: {kind} loss {scores.loss:.4f}, accuracy {scores.accuracy:.4f}",
                    passing=True,
                )

            paths[name] = follow_path(rows.first(width), division, penalties, num_classes, on_solution)
    return paths


def choose(paths: Mapping[FeatureLayers, Path], division: Division) -> HeadChoice:
    """Choose features and penalty: by the folds, unless a given validation part contradicts them.

    The validation part may come from where the model will be used. It has the last word where the loss out of fold is
    so far below the loss on it that the folds cannot be believed (look-alikes on both sides of a fold do that), and
    between the best of each set of features where the paired interval of the difference on it is clear of zero.
    """
    name = min(paths, key=lambda name: paths[name].best.deciding.loss)
    best = paths[name].best
    if not division.num_folds:
        return _chosen(name, best, "validation")
    if best.validation is None:
        return _chosen(name, best, "folds")
    if _is_far(best, division):
        on_validation = {name: _validated(path) for name, path in paths.items()}
        name = min(on_validation, key=lambda name: _loss_on_validation(on_validation[name]))
        return replace(_chosen(name, on_validation[name], "validation"), warning=_warning(best))
    is_validation = division.is_validation
    for other, path in paths.items():
        losses = best.losses[is_validation], path.best.losses[is_validation]
        if other != name and paired_bootstrap(*losses)[0] > 0:
            chosen = _chosen(other, path.best, "folds")
            line = f"{chosen.line}: on the given validation part it is better than {name}"
            return replace(chosen, decider="validation", line=line)
    return _chosen(name, best, "folds")


def fit_to(is_used: Flags, rows: StandardisedRows, division: Division, choice: HeadChoice) -> SolvedHeads:
    """Fit the chosen head once more, alone; of several parts, the average of all.

    Args:
        is_used: (images,) whether it is fitted to the image.
        rows: the features that were chosen, and no others.
        division: the weights of the images.
        choice: features and penalty.
    """
    weights = rows.spread(np.where(is_used, division.weights, 0).astype(np.float32))
    averaged = start_at_zero(rows.num_features, 1, choice.solution.heads.weights.shape[2])
    for part in choice.parts:
        heads, first = part.solution.heads, slice(part.num_features)
        start = SolvedHeads(weights=heads.weights[:, -1:], steps=heads.steps[-1:])
        solved = solve(rows.first(part.num_features), rows.labels, weights[None], [part.solution.l2], start)
        averaged.weights[first] += part.share * solved.weights[:-1]
        averaged.weights[-1] += part.share * solved.weights[-1]
    return averaged


def _validated(path: Path) -> Solution:
    assert path.best_on_validation is not None, "asked for where there are validation images"
    return path.best_on_validation


def _loss_on_validation(solution: Solution) -> float:
    assert solution.validation is not None, "asked for where there are validation images"
    return solution.validation.loss


def _is_far(best: Solution, division: Division) -> bool:
    """Whether the loss on the validation part is so far above that out of fold that the folds cannot be believed."""
    losses = best.losses[division.is_validation]
    least, _ = paired_bootstrap(losses, np.zeros(len(losses)))
    return least > FAR * best.deciding.loss and least > best.deciding.loss + FAR_NATS


def _warning(best: Solution) -> str:
    return (
        f"the given validation part is much harder than held-out training images: log-loss "
        f"{_loss_on_validation(best):.3f} against {best.deciding.loss:.3f}. It may come from elsewhere, or training "
        "images may look alike. It chose the head: expect its scores, not those of the folds"
    )


def _chosen(name: FeatureLayers, solution: Solution, by: Decider) -> HeadChoice:
    """A choice by the loss out of fold, or on validation."""
    is_by_folds = by == "folds"
    loss = solution.deciding.loss if is_by_folds else _loss_on_validation(solution)
    kind = "out-of-fold" if is_by_folds else "validation"
    line = f"head: features {name}, l2 {solution.l2:g}, chosen by {kind} log-loss ({loss:.4f})"
    parts = (HeadPart(features=name, solution=solution, share=1.0),)
    return HeadChoice(features=name, solution=solution, parts=parts, decider=by, loss=loss, line=line)
