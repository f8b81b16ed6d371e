"""What the members on one backbone hand on to each other: options that were found, and the weights of boosting."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from models.bank import Candidate
from models.errors import UserError
from pipelines.candidates import candidates
from pipelines.fit_heads import FittedHeads
from pipelines.roster import Member, MembersSpec, slugs
from pipelines.runs import write_json
from pipelines.train import Work

# Options that are tried for the members of one head: a hidden layer takes twenty times as long as none.
SEARCHED_HIDDEN = 4
Floats = NDArray[Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class Legacy:
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

    def leave_weights(self, member: Member, images: Floats) -> None:
        """Keep the weights (images,) of mean 1 for the member that follows."""
        np.save(self._file("boost", member, f"-{member.seed + 1}.npy"), images)

    def options(self, member: Member, work: Work, num_features: int) -> tuple[Candidate, ...]:
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
