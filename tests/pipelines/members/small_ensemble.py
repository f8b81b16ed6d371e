"""Ensembles that are trained in seconds, in this process: no other TensorFlow has to be loaded."""

from __future__ import annotations

import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from models.arrays import Labels
from pipelines.data.check import check
from pipelines.data.scan import scan
from pipelines.members.member_training import MemberTraining, main
from pipelines.members.spec import MembersOrder
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.layout import STATE_FOLDER
from pipelines.system.messages import Event, NoteLine, WarningLine, read_message
from pipelines.system.progress import Reporter
from pipelines.system.records import as_record
from pipelines.system.relay import ProgressRelay
from pipelines.training.plan import TrainingPlan
from tests.specs import train_spec, with_options


def members_spec(
    drawn: Path,
    out: Path,
    *backbones: str,
    common: dict[str, object] | None = None,
    **options: Any,  # of MembersSpec, of as many types
) -> MembersSpec:
    """An ensemble on runs of the fixture `drawn`; `common` are options of each training."""
    spec = train_spec(data=str(drawn / "data"), out=str(out), epochs=6, heads=2)
    values = {"backbones": tuple(str(drawn / name) for name in backbones), "heads": ("linear",), **options}
    return MembersSpec(common=with_options(spec, **common or {}), **values)


def all_correct(plan: TrainingPlan, *_: object, **__: object) -> Labels:
    """Out-of-fold predictions of the training images that are all right."""
    return np.asarray([example.label for example in plan.dataset.part("train")], np.int32)


def member_training(spec: MembersSpec, drawn: Path, out: Path) -> tuple[MemberTraining, io.StringIO]:
    """The training of members on one backbone, and what it sends."""
    (out / STATE_FOLDER).mkdir(parents=True)
    (out / "members").mkdir()
    messages = io.StringIO()
    dataset = check(scan(str(drawn / "data")))
    return MemberTraining(spec=spec, out=out, place=out, dataset=dataset, relay=ProgressRelay(messages)), messages


def events_of(messages: io.StringIO) -> list[Event]:
    """The events among the messages."""
    received = [read_message(line) for line in messages.getvalue().splitlines()]
    return [message for message in received if isinstance(message, dict)]


def sent_through_json(order: MembersOrder) -> MembersOrder:
    """An order as a worker process receives it."""
    return as_record(json.loads(json.dumps(msgspec.to_builtins(order))), MembersOrder)


def run_here(module: str, order: MembersOrder, *, reporter: Reporter, on_event: Callable[[Event], None]) -> None:
    """Stands in for `run_in_worker`: trains the members in this process."""
    assert module == "pipelines.members.member_training"
    messages = io.StringIO()
    main(sent_through_json(order), ProgressRelay(messages))
    for line in messages.getvalue().splitlines():
        match read_message(line):
            case NoteLine(text):
                reporter.note(text)
            case WarningLine(text):
                reporter.warn(text)
            case dict() as event:
                on_event(event)
