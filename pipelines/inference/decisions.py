"""What is made of a run's probabilities beyond the most probable class: sets for a coverage, answers by cost."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.evaluation.conformal import SetRule, require_coverage_for_classes, set_rule
from pipelines.inference.costs import CostTable, read_costs
from pipelines.runs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Decisions:
    """The rules of a prediction; None for those that were not asked for.

    Attributes:
        sets: which classes an image may belong to.
        costs: what each answer costs.
    """

    sets: SetRule | None = None
    costs: CostTable | None = None


NO_DECISIONS = Decisions()


def read_decisions(
    run: str, manifest: Manifest, *, coverage: float | None, is_by_class: bool, costs: str | None
) -> Decisions:
    """Read the rules that were asked for; needs no model.

    Args:
        run: folder of a complete run.
        manifest: of the run.
        coverage: wanted share of images whose set holds the true class, in (0, 1).
        is_by_class: promise the coverage within each class.
        costs: a CSV file, as `read_costs` reads it.

    Raises:
        UserError: `is_by_class` without a coverage; as `set_rule` and `read_costs`.
    """
    require_coverage_for_classes(coverage, is_by_class=is_by_class)
    return Decisions(
        sets=None if coverage is None else set_rule(run, manifest, coverage, is_by_class=is_by_class),
        costs=None if costs is None else read_costs(costs, manifest.class_names),
    )
