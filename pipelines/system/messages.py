"""Defines the messages that a worker process sends to its parent, and writes and reads them as JSON lines.

A line holds `kind`, a key of `MESSAGES`, and the message's fields. Lines of the kind `event` hold what the job itself
sends, as strings.
"""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from typing import TypeAlias

from pipelines.system.records import as_record

EVENT = "event"


@dataclass(frozen=True, slots=True)
class NoteLine:
    """A line of information for `Reporter.note`."""

    text: str


@dataclass(frozen=True, slots=True)
class DetailLine:
    """A line for `Reporter.detail`."""

    text: str


@dataclass(frozen=True, slots=True)
class WarningLine:
    """A line for `Reporter.warn`."""

    text: str


@dataclass(frozen=True, slots=True)
class TaskStart:
    """A task begins; `task` is its number in the messages that follow."""

    task: int
    name: str
    total: int | None


@dataclass(frozen=True, slots=True)
class TaskAdvance:
    """A task advances by `count` units."""

    task: int
    count: int
    fields: dict[str, str]


@dataclass(frozen=True, slots=True)
class TaskLine:
    """A line of a task."""

    task: int
    text: str
    passing: bool


@dataclass(frozen=True, slots=True)
class TaskEnd:
    """A task ends."""

    task: int


@dataclass(frozen=True, slots=True)
class Failure:
    """The job failed with a UserError; `is_full_disk` where it was a FullDisk."""

    message: str
    hint: str
    is_full_disk: bool


Message: TypeAlias = NoteLine | DetailLine | WarningLine | TaskStart | TaskAdvance | TaskLine | TaskEnd | Failure
Event: TypeAlias = dict[str, str]

MESSAGES: dict[str, type[Message]] = {
    "note": NoteLine,
    "detail": DetailLine,
    "warn": WarningLine,
    "begin": TaskStart,
    "advance": TaskAdvance,
    "line": TaskLine,
    "end": TaskEnd,
    "problem": Failure,
}
_KINDS = {message: kind for kind, message in MESSAGES.items()}


def write_message(message: Message | Event) -> str:
    """A message or an event as one line of JSON."""
    match message:
        case dict():
            return json.dumps({"kind": EVENT, **message}) + "\n"
        case _:
            return json.dumps({"kind": _KINDS[type(message)], **asdict(message)}) + "\n"


def read_message(line: str) -> Message | Event:
    """The message or event of a line."""
    values = json.loads(line)
    kind = values.pop("kind")
    if kind == EVENT:
        return as_record(values, dict[str, str])
    return as_record(values, MESSAGES[kind])
