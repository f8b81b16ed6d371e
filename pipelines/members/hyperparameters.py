"""Hands hyperparameters and boosting weights from one member to the next, in files of the ensemble's state."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from models.heads import Candidate
from pipelines.members.spec import Member, file_names
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.manifest import ChosenHead
from pipelines.system.files import write_json
from pipelines.system.records import as_record
from pipelines.training.feature_stage import list_head_candidates

if TYPE_CHECKING:
    from models.arrays import Doubles, Weights
    from pipelines.fitting.heads import FittedHeads
    from pipelines.training.plan import TrainingPlan

# Hyperparameters that are tried for a head with a hidden layer, which takes twenty times as long as one without.
SEARCHED_HIDDEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHyperparameters:
    """The files that one member writes for the next of its kind.

    Attributes:
        spec: of the ensemble.
        state: folder of the ensemble's state.
    """

    spec: MembersSpec
    state: Path

    def image_weights(self, member: Member, count: int) -> Weights | None:
        """How often each of `count` images is in the member's bootstrap sample, or its boosting weight, of mean 1.

        Raises:
            UserError: the previous member of the boosting failed.
        """
        if self.spec.bag:
            drawn = np.random.default_rng((member.seed, 1 + (member.fold or 0))).integers(0, count, count)
            return np.bincount(drawn, minlength=count).astype(np.float32)
        if not self.spec.boost:
            return None
        if member.seed == self.spec.common.fit.seed:
            return np.ones(count, np.float32)
        path = self._file("boost", member, f"-{member.seed}.npy")
        if not path.is_file():
            raise UserError("skipped: the previous member failed", "boosted members follow each other")
        return np.asarray(np.load(path), np.float32)

    def keep_weights(self, member: Member, image_weights: Doubles) -> None:
        """Save the weights (images,) of mean 1 for the member that follows."""
        np.save(self._file("boost", member, f"-{member.seed + 1}.npy"), image_weights)

    def candidates(self, member: Member, plan: TrainingPlan, num_features: int) -> tuple[Candidate, ...]:
        """Hyperparameters for the member's head: those of the first of its kind, or a grid for that first."""
        path = self._file("options", member, ".json")
        if path.is_file():
            chosen = as_record(json.loads(path.read_text(encoding="utf-8")), ChosenHead)
            return (Candidate(**{**asdict(chosen), "seed": member.seed}),)
        heads = plan.spec.head.heads
        count = min(heads, SEARCHED_HIDDEN) if plan.names.head.hidden else heads
        return list_head_candidates(plan, num_features=num_features, count=count)

    def keep_choice(self, member: Member, fitted: FittedHeads) -> None:
        """Save the best hyperparameters for the members that follow, unless there are some."""
        path = self._file("options", member, ".json")
        if not path.is_file():
            best = fitted.trials[0]
            chosen = ChosenHead(l2=best.l2, learning_rate=best.learning_rate, dropout=best.dropout, seed=best.seed)
            write_json(path, asdict(chosen))

    def _file(self, kind: str, member: Member, ending: str) -> Path:
        return self.state / f"{kind}-{file_names(self.spec.backbones)[member.backbone]}-{member.head}{ending}"
