"""Chooses the members that an ensemble may contain under a greatest prediction time and size."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.ensembles.costs import list_costs, models_to_time
from pipelines.ensembles.selection import Budget, affordable, of_true_class
from pipelines.ensembles.timing import Timing, one_after_the_other, time_models
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    from models.arrays import Doubles, Labels, Probabilities
    from pipelines.ensembles.member_predictions import MemberPredictions


def choose_within_budget(
    members: Sequence[MemberPredictions],
    probabilities: Probabilities | Doubles,
    labels: Labels,
    budget: Budget,
    reporter: Reporter,
) -> tuple[list[int], Timing | None]:
    """The members to choose from, and what they take together where time is limited.

    Args:
        members: all of them.
        probabilities: (members, images, classes) on images that no member was trained on.
        labels: (images,) true classes.
        budget: for all chosen members together.
        reporter: shows progress.

    Returns:
        Places in `members`, and their time; None where time has no limit.

    Raises:
        UserError: no member fits alone.
    """
    if budget == Budget():
        return list(range(len(members))), None
    times = time_models(models_to_time(members), reporter) if budget.latency_ms is not None else None
    places = affordable(of_true_class(probabilities, labels), list_costs(members, times), budget)
    if times is None:
        return list(places), None
    chosen = models_to_time([members[place] for place in places])
    return list(places), one_after_the_other(times[key] for key in chosen)


def over_limit(ms: float, budget: Budget) -> tuple[str, ...]:
    """A line where the joined model takes longer, `ms` per image, than the limit that its members were chosen for."""
    if budget.latency_ms is None or ms <= budget.latency_ms:
        return ()
    return (f"the ensemble takes {ms:.3g} ms per image, more than --max-latency {budget.latency_ms:g}",)
