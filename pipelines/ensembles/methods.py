"""The table of ensemble methods; light, so that the command line can list them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from models.arrays import Doubles, Indices

# Probabilities (members, images, classes), labels (images,) and a seed -> weights (members,) with sum 1.
Weigh: TypeAlias = "Callable[[Doubles, Indices, int], Doubles]"


@dataclass(frozen=True, slots=True, kw_only=True)
class Method:
    """A way to combine members.

    Attributes:
        about: one line for people.
        pool: a key of `models.pools.POOLS`.
        weigh: fits the weights on images that no member was trained on.
        is_stacked: whether a regression on the members' probabilities is fitted as well.
    """

    about: str
    pool: str
    weigh: Weigh
    is_stacked: bool = False

    @property
    def is_fitted(self) -> bool:
        """Whether the weights are fitted; else all members have the same."""
        return self.weigh is not _equal


def _equal(probabilities: Doubles, labels: Indices, seed: int) -> Doubles:
    import numpy as np

    return np.full(len(probabilities), 1 / len(probabilities))


def _greedy(probabilities: Doubles, labels: Indices, seed: int) -> Doubles:
    from pipelines.ensembles.selection import greedy, of_true_class

    return greedy(of_true_class(probabilities, labels), seed=seed)


def _convex(probabilities: Doubles, labels: Indices, seed: int) -> Doubles:
    from pipelines.ensembles.selection import convex, of_true_class

    return convex(of_true_class(probabilities, labels))


METHODS: dict[str, Method] = {
    "greedy": Method(
        about="forward selection with replacement on validation log-loss, bagged", pool="mean", weigh=_greedy
    ),
    "mean": Method(about="mean of the probabilities", pool="mean", weigh=_equal),
    "weighted": Method(about="weighted mean with the least validation log-loss", pool="mean", weigh=_convex),
    "vote": Method(about="majority of the members' predicted classes", pool="vote", weigh=_equal),
    "geometric": Method(about="mean of the log-probabilities", pool="geometric", weigh=_equal),
    "stack": Method(about="softmax regression on the log-probabilities", pool="stack", weigh=_equal, is_stacked=True),
}
