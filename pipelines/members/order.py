"""The order that the worker process of one backbone receives."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.members.spec import Member
from pipelines.runs.ensemble_spec import MembersSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersOrder:
    """Which members a worker process trains.

    Attributes:
        spec: of the whole ensemble.
        members: those to train, all on one backbone, in order.
        out: the ensemble's folder, absolute.
        dataset: the file that `pipelines.data.dataset_file.write_dataset` wrote, absolute.
    """

    spec: MembersSpec
    members: tuple[Member, ...]
    out: str
    dataset: str
