"""Runs a job inside a worker process and relays its progress to the parent as JSON lines on stdout.

`pipelines.system.worker` is the parent's side.
"""

from __future__ import annotations

import json
import os
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TextIO, TypeVar

from models.machine_errors import FullDisk, as_user_error
from pipelines.system.messages import (
    DetailLine,
    Event,
    Failure,
    Message,
    NoteLine,
    TaskAdvance,
    TaskEnd,
    TaskLine,
    TaskStart,
    WarningLine,
    write_message,
)
from pipelines.system.progress import Task
from pipelines.system.records import as_record

Order = TypeVar("Order")
INTERRUPTED, BUG = 130, 70
# At most ten messages a second for a task: an epoch of cached features takes a few milliseconds.
ADVANCE_SECONDS = 0.1


def serve(order_type: type[Order], job: Callable[[Order, ProgressRelay], None]) -> int:
    """Read the order from stdin, run the job and send its messages to stdout.

    The worker ends when its parent ends, however that happens: the parent holds the other end of stdin.

    Args:
        order_type: the record that `run_in_worker` is given.
        job: does the work; a UserError that it raises is raised again in the parent, and so is what the machine lacks.

    Returns:
        The exit code: 0, 1 after an error that the user can fix, 70 after a bug.
    """
    order = as_record(json.loads(sys.stdin.readline()), order_type)
    # Only messages reach the parent: what libraries print to stdout goes to stderr.
    stream = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115  open as long as the process
    os.dup2(2, 1)
    threading.Thread(target=_exit_with_parent, daemon=True).start()
    relay = ProgressRelay(stream)
    try:
        job(order, relay)
    except Exception as error:  # a bug leaves its traceback on stderr, whose last line the parent reports
        user_error = as_user_error(error)
        if user_error is None:
            traceback.print_exc()
            return BUG
        relay.write(Failure(user_error.message, user_error.hint, isinstance(user_error, FullDisk)))
        return 1
    return 0


def _exit_with_parent() -> None:
    sys.stdin.read()
    os._exit(INTERRUPTED)


class ProgressRelay:
    """The Reporter of a worker: sends to the parent what it is given.

    Attributes:
        lines: whether the lines of tasks are sent.
    """

    def __init__(self, stream: TextIO) -> None:
        """Send to `stream`; several threads may report at once."""
        self.lines = True
        self._stream, self._lock, self._num_tasks = stream, threading.Lock(), 0

    def write(self, message: Message | Event) -> None:
        """Send a message or an event."""
        with self._lock:
            self._stream.write(write_message(message))
            self._stream.flush()

    def send(self, **values: str) -> None:
        """Send an event to the parent's `on_event`."""
        self.write(values)

    def note(self, text: str) -> None:
        """Send a line of information."""
        self.write(NoteLine(text))

    def detail(self, text: str) -> None:
        """Send a line that only `-v` shows."""
        self.write(DetailLine(text))

    def warn(self, text: str) -> None:
        """Send a line that the user should look at."""
        self.write(WarningLine(text))

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """A context that relays the progress of a task."""
        with self._lock:
            self._num_tasks += 1
            number = self._num_tasks
        self.write(TaskStart(number, name, total))
        task = _RelayedTask(self, number)
        try:
            yield task
        finally:
            task.flush()
            self.write(TaskEnd(number))


class _RelayedTask:
    """A task that sums up its advances and sends a few a second."""

    def __init__(self, relay: ProgressRelay, number: int) -> None:
        self._relay, self._number = relay, number
        self._count, self._fields, self._sent_at = 0, dict[str, str](), 0.0

    def advance(self, count: int = 1, **fields: str) -> None:
        self._count += count
        self._fields |= fields
        if time.monotonic() - self._sent_at >= ADVANCE_SECONDS:
            self.flush()

    def line(self, text: str, *, passing: bool = False) -> None:
        if self._relay.lines:
            self._relay.write(TaskLine(self._number, text, passing))

    def flush(self) -> None:
        if self._count:
            self._relay.write(TaskAdvance(self._number, self._count, self._fields))
        self._count, self._sent_at = 0, time.monotonic()
