"""Defines how a verb reports what it does (Reporter, Task), and times its phases."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import Protocol


class Task(Protocol):
    """A part of a verb that takes a while: a bar on a terminal, lines elsewhere."""

    def advance(self, count: int = 1, **fields: str) -> None:
        """Advance by `count` units; `fields` are shown beside the bar (loss, accuracy, images/s)."""

    def line(self, text: str, *, passing: bool = False) -> None:
        """Print a line that stays (one per epoch), above the bar or, without a terminal, alone.

        A passing line is printed only where no bar shows the same: epochs that take a fraction of a second would
        flood a terminal.
        """


class Reporter(Protocol):
    """Where the messages of a verb go: stderr on the command line, nowhere in most tests."""

    def note(self, text: str) -> None:
        """Print a line of information."""

    def detail(self, text: str) -> None:
        """Print a line that only `-v` shows."""

    def warn(self, text: str) -> None:
        """Print a line that the user should look at."""

    def task(self, name: str, total: int | None) -> AbstractContextManager[Task]:
        """A context that shows the progress of a task of `total` units; None where the total is unknown."""


class _SilentTask:
    def advance(self, count: int = 1, **fields: str) -> None:
        pass

    def line(self, text: str, *, passing: bool = False) -> None:
        pass


class Silent:
    """A Reporter that prints nothing; the default of library calls."""

    def note(self, text: str) -> None:
        """Print nothing."""

    def detail(self, text: str) -> None:
        """Print nothing."""

    def warn(self, text: str) -> None:
        """Print nothing."""

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """Give a task that shows nothing."""
        yield _SilentTask()


class PhaseTimer:
    """Measures the wall time of the phases of a verb, one after the other.

    Attributes:
        seconds: phase -> its wall time, rounded to hundredths.
    """

    def __init__(self) -> None:
        """Begin the first phase."""
        self.seconds: dict[str, float] = {}
        self._phase_start = time.monotonic()

    def end_phase(self, name: str) -> None:
        """End the current phase under `name`, and begin the next."""
        now = time.monotonic()
        self.seconds[name] = round(now - self._phase_start, 2)
        self._phase_start = now
