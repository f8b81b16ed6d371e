"""What the members on one backbone hand on to each other: options that were found, and the weights of boosting."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import ArrayLike, NDArray

from models.arrays import Doubles
from models.bank import Candidate
from models.errors import UserError
from pipelines.fitting.candidates import candidates
from pipelines.fitting.heads import FittedHeads
from pipelines.members.spec import Member, MembersSpec, slugs
from pipelines.system.files import write_json
from pipelines.training.plan import TrainingPlan

# Options that are tried for the members of one head: a hidden layer takes twenty times as long as none.
SEARCHED_HIDDEN = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedHyperparameters:
    """What one member leaves for the next of its kind, in the state of the ensemble.

    Attributes:
        spec: what is asked for.
        state: folder.
    """

    spec: MembersSpec
    state: Path

    def image_weights(self, member: Member, count: int) -> NDArray[np.float32] | None:
        """How often each of `count` images stands in the member's bag, or what boosting gives it, of mean 1.

        Raises:
            UserError: boosting has lost the member before this one.
        """
        if self.spec.bag:
            drawn = np.random.default_rng((member.seed, 1 + (member.fold or 0))).integers(0, count, count)
            return np.bincount(drawn, minlength=count).astype(np.float32)
        if not self.spec.boost:
            return None
        if member.seed == self.spec.common.seed:
            return np.ones(count, np.float32)
        path = self._file("boost", member, f"-{member.seed}.npy")
        if not path.is_file():
            raise UserError("the member before it failed", "boosted members follow each other")
        return np.asarray(np.load(path), np.float32)

    def leave_weights(self, member: Member, images: Doubles) -> None:
        """Keep the weights (images,) of mean 1 for the member that follows."""
        np.save(self._file("boost", member, f"-{member.seed + 1}.npy"), images)

    def options(self, member: Member, work: TrainingPlan, num_features: int) -> tuple[Candidate, ...]:
        """What the member's head may be trained with: found by the first of its kind, and then kept."""
        spec, path = work.spec, self._file("options", member, ".json")
        if path.is_file():
            return (Candidate(**{**json.loads(path.read_text(encoding="utf-8")), "seed": member.seed}),)
        return candidates(
            work.head,
            count=min(spec.heads, SEARCHED_HIDDEN) if work.head.hidden else spec.heads,
            num_features=num_features,
            num_classes=len(work.dataset.class_names),
            seed=spec.seed,
            l2=spec.l2,
            learning_rate=spec.learning_rate,
            dropout=spec.dropout,
            optimizer=spec.rule,
        )

    def leave_options(self, member: Member, fitted: FittedHeads) -> None:
        """Keep the best options for the members that follow, unless they are there."""
        path = self._file("options", member, ".json")
        if not path.is_file():
            write_json(path, {name: fitted.rows[0][name] for name in ("l2", "learning_rate", "dropout", "seed")})

    def _file(self, what: str, member: Member, ending: str) -> Path:
        return self.state / f"{what}-{slugs(self.spec.backbones)[member.backbone]}-{member.head}{ending}"


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Boost:
    """One step of boosting.

    Attributes:
        weight: of the member in the vote; 0 for one that is no better than chance, which is to be left out.
        images: (images,) weights for the next member, with sum 1.
        go_on: whether another member can be added: this one errs, and less than chance does.
    """

    weight: float
    images: Doubles
    go_on: bool


def samme(images: ArrayLike, wrong: ArrayLike, num_classes: int) -> Boost:
    """Weigh a member and the images by its errors (SAMME: Zhu et al. 2009, doi:10.4310/SII.2009.v2.n3.a8).

    Args:
        images: (images,) weights that the member was trained with.
        wrong: (images,) whether it answers wrongly.
        num_classes: how many classes there are.
    """
    weights, errs = np.asarray(images, np.float64), np.asarray(wrong, bool)
    weights = weights / weights.sum()
    error = float(weights[errs].sum())
    if error <= 0:
        return Boost(weight=1.0, images=weights, go_on=False)
    if error >= 1 - 1 / num_classes:
        return Boost(weight=0.0, images=weights, go_on=False)
    weight = math.log((1 - error) / error) + math.log(num_classes - 1)
    raised = np.where(errs, weights * math.exp(weight), weights)
    return Boost(weight=weight, images=raised / raised.sum(), go_on=True)
