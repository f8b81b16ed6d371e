"""The prediction for one input, and what is known of all rows (light: the command line lists formats without NumPy)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Status = Literal["ok", "unreadable", "not an image"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Prediction:
    """The prediction for one input.

    Attributes:
        path: as given; bytes that are not UTF-8 as surrogates.
        status: `ok`, `unreadable`, or `not an image`: another file in a folder, which gets no row.
        label: the most probable class, with costs the one of least expected cost; None when unreadable.
        probability: of it, in [0, 1]; None when unreadable.
        top_k: the most probable classes and their probabilities, most probable first; empty when unreadable.
        reason: why it is unreadable, a phrase; empty when it is readable.
        agreement: share of an ensemble's members that predict the same class, in [0, 1]; None for a single model.
        entropy: of the probabilities of all classes, nats; None when unreadable.
        members: (member, its most probable class, probability of that) for each member of an ensemble; empty unless
            asked for.
        scores: probability of each class, in the run's order; empty unless asked for, and when unreadable.
        possible: the set of classes that a coverage was promised for, most probable first, at least one; None unless
            asked for, and when unreadable.
        expected_cost: of `label`, in the units of the table of costs; None unless asked for, and when unreadable.
    """

    path: str
    status: Status
    label: str | None = None
    probability: float | None = None
    top_k: tuple[tuple[str, float], ...] = ()
    reason: str = ""
    agreement: float | None = None
    entropy: float | None = None
    members: tuple[tuple[str, str, float], ...] = ()
    scores: tuple[float, ...] = ()
    possible: tuple[str, ...] | None = None
    expected_cost: float | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Columns:
    """What is known of all rows before the first of them.

    Attributes:
        class_names: (classes,) in the run's order.
        has_scores: whether rows have the probability of each class.
        is_ensemble: whether rows have the agreement of members.
        members: names of the members that rows list; empty for none.
        has_sets: whether rows have the set of classes for a coverage.
        has_costs: whether the label was chosen by cost.
    """

    class_names: Sequence[str]
    has_scores: bool = False
    is_ensemble: bool = False
    members: Sequence[str] = ()
    has_sets: bool = False
    has_costs: bool = False

    @property
    def decision_fields(self) -> tuple[str, ...]:
        """Names of the columns that rows have because of a coverage or of costs."""
        return (("set",) if self.has_sets else ()) + (("chosen_by", "expected_cost") if self.has_costs else ())
