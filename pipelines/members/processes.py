"""Trains members in worker processes, one a backbone, and gives those that fail unexpectedly a second attempt."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from models.machine_errors import FullDisk
from pipelines.members.spec import MEMBERS_FOLDER, Member, MembersOrder
from pipelines.runs.folder import sweep_run
from pipelines.runs.layout import STATE_FOLDER, is_run
from pipelines.system.progress import Reporter, Task
from pipelines.system.worker import run_in_worker

if TYPE_CHECKING:
    from pipelines.runs.ensemble_spec import MembersSpec
    from pipelines.system.messages import Event

DATASET_FILE = "dataset.json"


@dataclass(slots=True)
class _Attempt:
    """What became of members that were not trained.

    Attributes:
        failures: why, by name.
        ended: lines about boostings that ended before their last member.
        ended_names: of those that boosting left nothing to be trained on.
        is_unexpected: whether any failure is other than an error that the user can fix.
    """

    failures: dict[str, UserError] = field(default_factory=dict)
    ended: list[str] = field(default_factory=list)
    ended_names: set[str] = field(default_factory=set)
    is_unexpected: bool = False


def train_in_processes(
    spec: MembersSpec, members: Sequence[Member], folder: Path, reporter: Reporter
) -> tuple[dict[str, UserError], list[str]]:
    """Train the members that are not complete, one process a backbone, and those that fail unexpectedly once more.

    Args:
        spec: of the ensemble.
        members: all of them; those on one backbone follow each other.
        folder: of the ensemble, with `DATASET_FILE` in its state.
        reporter: shows progress.

    Returns:
        Why others failed, by name; and a line for each boosting that ended before its last member.

    Raises:
        FullDisk: a disk is full; members that are complete stay.
    """
    failures: dict[str, UserError] = {}
    ended: list[str] = []
    missing = [member for member in members if not is_run(folder / MEMBERS_FOLDER / member.name)]
    for member in set(members) - set(missing):
        sweep_run(folder / MEMBERS_FOLDER / member.name)
    (folder / MEMBERS_FOLDER).mkdir(exist_ok=True)
    with reporter.task("members", len(members)) as task:
        task.advance(len(members) - len(missing))
        for _, group in itertools.groupby(missing, key=lambda member: member.backbone):
            order = MembersOrder(
                spec=spec,
                members=tuple(group),
                out=str(Path(spec.common.out).absolute()),
                place=str(folder.absolute()),
                dataset=str((folder / STATE_FOLDER / DATASET_FILE).absolute()),
            )
            attempt = _train_group(order, reporter, task)
            ended += attempt.ended
            if attempt.is_unexpected:
                lost = tuple(member for member in order.members if member.name in attempt.failures)
                reporter.warn(f"training once more, in a new process: {', '.join(member.name for member in lost)}")
                attempt = _train_group(replace(order, members=lost), reporter, task)
                ended += [line for line in attempt.ended if line not in ended]
            failures |= attempt.failures
            task.advance(len(attempt.failures))
    return failures, ended


def _train_group(order: MembersOrder, reporter: Reporter, task: Task) -> _Attempt:
    """Train the members of one backbone in a process of their own."""
    attempt = _Attempt()

    def on_event(event: Event) -> None:
        if "failed" in event:
            attempt.failures[event["failed"]] = UserError(event["message"], event["hint"])
            attempt.is_unexpected |= "unexpected" in event
            reporter.warn(f"{event['failed']} failed: {event['message']}")
            return
        if "ended" in event:
            attempt.ended_names.add(event["ended"])
            if event["message"] not in attempt.ended:
                attempt.ended.append(event["message"])
                reporter.warn(event["message"])
        task.advance()

    try:
        run_in_worker("pipelines.members.member_training", order, reporter=reporter, on_event=on_event)
    except FullDisk:  # no other member could be written
        raise
    except UserError as error:
        reporter.warn(f"{order.members[0].backbone}: {error.message}")
        for member in order.members:
            is_trained = is_run(Path(order.place) / MEMBERS_FOLDER / member.name)
            if not is_trained and member.name not in attempt.ended_names:
                attempt.failures.setdefault(member.name, error)
        attempt.is_unexpected = bool(attempt.failures)
    return attempt
