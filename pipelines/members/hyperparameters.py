"""Hands hyperparameters and out-of-fold predictions from one member to the next, in files of the ensemble's state."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from models.heads import Candidate
from pipelines.fitting.candidates import Shortlist
from pipelines.members.boosting import weigh_images
from pipelines.members.spec import Member, file_names
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.manifest import ChosenHead
from pipelines.system.arrays import read_array, write_array
from pipelines.system.files import atomic, write_json
from pipelines.system.records import DamagedRecord, as_record, read_plain
from pipelines.training.head_stage import list_head_candidates

if TYPE_CHECKING:
    from models.arrays import Labels, Weights
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

    def image_weights(self, member: Member, labels: Labels) -> Weights | None:
        """How often each training image is in the member's bootstrap sample, or its boosting weight, of mean 1.

        Args:
            member: that is to be trained.
            labels: (images,) of its training images.

        Raises:
            BoostingEnds: the members before it leave nothing to be trained on.
            UserError: the previous member of the boosting failed.
        """
        count = len(labels)
        if self.spec.bag:
            drawn = np.random.default_rng((member.seed, 1 + (member.fold or 0))).integers(0, count, count)
            return np.bincount(drawn, minlength=count).astype(np.float32)
        if not self.spec.boost:
            return None
        predicted: list[Labels] = []
        for seed in range(self.spec.common.fit.seed, member.seed):
            path = self._held_out_file(member, seed)
            # Asked before each is read: the boosting of an interrupted training may have ended long before.
            weigh_images(predicted, labels)
            if not path.is_file():
                raise UserError("skipped: the previous member failed", "boosted members follow each other")
            with _naming(path, f"delete `{self.state.parent}` to begin anew"):
                classes = read_array(path)
                if classes.shape != labels.shape or classes.dtype.kind != "i":
                    raise DamagedRecord("its classes are not those of the images")
            predicted.append(classes.astype(np.int32))
        return weigh_images(predicted, labels)

    def needs_held_out(self, member: Member) -> bool:
        """Whether the member's out-of-fold predictions are still to be made: another of the boosting follows it."""
        is_last = member.seed == self.spec.common.fit.seed + self.spec.seeds - 1
        return self.spec.boost and not is_last and not self._held_out_file(member, member.seed).is_file()

    def keep_held_out(self, member: Member, classes: Labels) -> None:
        """Save the classes (images,) that the member predicts out of fold, for those that follow."""
        with atomic(self._held_out_file(member, member.seed)) as temporary, open(temporary, "wb") as stream:
            write_array(stream, classes)

    def candidates(self, member: Member, plan: TrainingPlan, num_features: int) -> Shortlist:
        """Hyperparameters for the member's head: those of the first of its kind, or a grid for that first."""
        path = self._file("options", member, ".json")
        # The first may have been killed after its choice: it searches again, and ends as if nothing had happened.
        if path.is_file() and not self._is_first(member):
            with _naming(path, "delete it: the hyperparameters are searched again"):
                chosen = as_record(read_plain(path), ChosenHead)
                if chosen.learning_rate is None:
                    raise DamagedRecord("`learning_rate`: missing")
            candidate = Candidate(
                l2=chosen.l2, learning_rate=chosen.learning_rate, dropout=chosen.dropout, seed=member.seed
            )
            return Shortlist(candidates=(candidate,))
        heads = plan.spec.head.heads
        count = min(heads, SEARCHED_HIDDEN) if plan.names.head.hidden else heads
        return list_head_candidates(plan, num_features=num_features, count=count)

    def keep_choice(self, member: Member, chosen: ChosenHead) -> None:
        """Save the best hyperparameters for the members that follow, unless there are some."""
        path = self._file("options", member, ".json")
        if not path.is_file():
            write_json(path, asdict(chosen))

    def _is_first(self, member: Member) -> bool:
        return member.seed == self.spec.common.fit.seed and not member.fold

    def _held_out_file(self, member: Member, seed: int) -> Path:
        return self._file("held-out", member, f"-{seed}.npy")

    def _file(self, kind: str, member: Member, ending: str) -> Path:
        rules: list[str | None] = [member.optimizer] if len(self.spec.optimizers) > 1 else []
        rules += [member.init] if len(self.spec.inits) > 1 else []
        parts = [kind, file_names(self.spec.backbones)[member.backbone], member.head, *filter(None, rules)]
        return self.state / f"{'-'.join(parts)}{ending}"


@contextmanager
def _naming(path: Path, hint: str) -> Iterator[None]:
    """Turn damage of a state file into an error that names it."""
    try:
        yield
    except DamagedRecord as error:
        raise UserError(f"`{path}` is damaged: {error}", hint) from error
