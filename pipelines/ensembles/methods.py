"""Fit how the answers of several models become one, on validation or out-of-fold answers, never on test ones.

Numpy and scikit-learn only: `models.ensemble.combine` makes the model that `pooled` foretells.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.special import softmax

from models.errors import lookup
from models.fusing import Columns
from models.pools import TIE_BREAK, Stack
from pipelines.data.listing import natural_order
from pipelines.ensembles.selection import convex, greedy
from pipelines.ensembles.stacking import fit_stack, side_by_side
from pipelines.evaluation.calibration import fit_temperature, logarithm

Floats = NDArray[np.float64]
Ints = NDArray[np.intp]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class EnsembleWeights:
    """How members are joined; what `models.ensemble.combine` is called with.

    Attributes:
        method: a key of `METHODS`.
        pool: a key of `models.pools.POOLS`.
        weights: (members,) with sum 1; a member of weight 0 is left out.
        stack: the regression of the method `stack`; None for the others.
        temperature: of the pooled probabilities; None where it does not help.
    """

    method: str
    pool: str
    weights: tuple[float, ...]
    stack: Stack | None = None
    temperature: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to join.

    Attributes:
        about: one line for people.
        pool: a key of `models.pools.POOLS`.
        weigh: answers (members, images, classes), labels and a seed -> weights (members,).
        stacks: whether a regression is fitted.
    """

    about: str
    pool: str
    weigh: Callable[[Floats, Ints, int], Floats]
    stacks: bool = False


def fit(
    answers: ArrayLike, labels: ArrayLike, *, method: str = "greedy", seed: int = 0, calibrate: bool = True
) -> EnsembleWeights:
    """Fit a way to join.

    Args:
        answers: (members, images, classes) probabilities on images that no member was trained on.
        labels: (images,) the right classes.
        method: a key of `METHODS`.
        seed: of what is drawn.
        calibrate: whether a temperature is tried.

    Raises:
        UserError: an unknown method, or one that these images do not suffice for.
    """
    found = lookup(METHODS, method, "ensemble method")
    given, truth = np.asarray(answers, np.float64), np.asarray(labels, np.intp)
    weights = found.weigh(given, truth, seed)
    stack = fit_stack(given, truth, seed=seed) if found.stacks else None
    joint = EnsembleWeights(method=method, pool=found.pool, weights=tuple(float(each) for each in weights), stack=stack)
    if not calibrate:
        return joint
    temperature = fit_temperature(pooled(given, joint), truth, seed=seed)
    return EnsembleWeights(method=method, pool=found.pool, weights=joint.weights, stack=stack, temperature=temperature)


def pooled(answers: ArrayLike, joint: EnsembleWeights) -> Floats:
    """What the joined model answers, (images, classes), where its members answer (members, images, classes)."""
    given, weights = np.asarray(answers, np.float64), np.asarray(joint.weights)
    if joint.pool == "mean":
        found = np.tensordot(weights, given, 1)
    elif joint.pool == "geometric":
        found = softmax(np.tensordot(weights, logarithm(given), 1), axis=-1)
    elif joint.pool == "vote":
        votes = np.eye(given.shape[2])[given.argmax(2)]
        found = np.tensordot(weights, (1 - TIE_BREAK) * votes + TIE_BREAK * given, 1)
    elif joint.stack is not None:
        found = softmax(side_by_side(given) @ joint.stack.kernel + joint.stack.bias, axis=-1)
    else:
        raise ValueError(f"cannot pool by {joint.pool}")
    return found if joint.temperature is None else softmax(logarithm(found) / joint.temperature, axis=-1)


def disagreement(answers: ArrayLike) -> Floats:
    """Share of the images that two members call by different classes.

    Args:
        answers: (members, images, classes).

    Returns:
        (members, members), symmetric, with a zero diagonal.
    """
    said = np.asarray(answers).argmax(2)
    found: Floats = (said[:, None] != said[None]).mean(2)
    return found


def agreement(answers: ArrayLike, pooled_answers: ArrayLike) -> Floats:
    """For each image the share of the members that say what the joined model says.

    Args:
        answers: (members, images, classes), of the members.
        pooled_answers: (images, classes), of the joined model.

    Returns:
        (images,), in [0, 1].
    """
    found: Floats = (np.asarray(answers).argmax(2) == np.asarray(pooled_answers).argmax(1)).mean(0)
    return found


def entropy(probabilities: ArrayLike) -> Floats:
    """Entropy (images,) of probabilities (images, classes), nats: 0 when sure, log(classes) when clueless."""
    given = np.asarray(probabilities, np.float64)
    found: Floats = -(given * logarithm(given)).sum(1)
    return np.maximum(found, 0.0)


def common_classes(members: Sequence[Sequence[str]]) -> tuple[tuple[str, ...], list[Columns]]:
    """All classes that any member knows, in natural order, and for each member its own number of each class.

    Args:
        members: the class names of each, in the order of its outputs.

    Returns:
        The classes, and what `models.ensemble.combine` takes as `columns`: None where a member does not know a class.
    """
    names = tuple(natural_order(name for each in members for name in each))
    places = [{name: place for place, name in enumerate(each)} for each in members]
    return names, [tuple(each.get(name) for name in names) for each in places]


def rearranged(probabilities: ArrayLike, columns: Columns) -> Floats:
    """A member's answers (images, own classes) as (images, common classes), with 0 for classes it does not know."""
    given = np.asarray(probabilities, np.float64)
    found = np.zeros((len(given), len(columns)))
    for place, column in enumerate(columns):
        if column is not None:
            found[:, place] = given[:, column]
    return found


def _chances(answers: Floats, labels: Ints) -> Floats:
    found: Floats = answers[:, np.arange(len(labels)), labels]
    return found


def _equal(answers: Floats, labels: Ints, seed: int) -> Floats:
    return np.full(len(answers), 1 / len(answers))


METHODS: dict[str, Method] = {
    "greedy": Method(
        about="forward selection with replacement on validation log-loss, bagged",
        pool="mean",
        weigh=lambda answers, labels, seed: greedy(_chances(answers, labels), seed=seed),
    ),
    "mean": Method(about="mean of the probabilities", pool="mean", weigh=_equal),
    "weighted": Method(
        about="weighted mean with the least validation log-loss",
        pool="mean",
        weigh=lambda answers, labels, seed: convex(_chances(answers, labels)),
    ),
    "vote": Method(about="majority of the members' answers", pool="vote", weigh=_equal),
    "geometric": Method(about="mean of the log-probabilities", pool="geometric", weigh=_equal),
    "stack": Method(about="softmax regression on the log-probabilities", pool="stack", weigh=_equal, stacks=True),
}
