"""How a verb tells a person what it is doing, without knowing the terminal."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    pass


class Task(Protocol):
    """One thing that takes a while: a bar on a terminal, lines elsewhere."""

    def advance(self, count: int = 1, **fields: str) -> None:
        """Move on by `count` units; `fields` are shown beside the bar (loss, accuracy, images/s)."""

    def line(self, text: str, *, passing: bool = False) -> None:
        """Say one line that stays (one an epoch); shown above the bar, or alone where there is no terminal.

        A passing one is said only where no bar shows the same: epochs of a fraction of a second would chase each other.
        """


class Reporter(Protocol):
    """Where a verb's words go: stderr on the command line, nowhere in most tests."""

    def note(self, text: str) -> None:
        """One line of information."""

    def warn(self, text: str) -> None:
        """One line about something the user should look at."""

    def task(self, name: str, total: int | None) -> AbstractContextManager[Task]:
        """A context manager around a piece of work of `total` units (None: unknown)."""


class _SilentTask:
    def advance(self, count: int = 1, **fields: str) -> None:
        pass

    def line(self, text: str, *, passing: bool = False) -> None:
        pass


class Silent:
    """A Reporter that says nothing; what library callers get by default."""

    def note(self, text: str) -> None:
        """Say nothing."""

    def warn(self, text: str) -> None:
        """Say nothing."""

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """Give a task that shows nothing."""
        yield _SilentTask()


class PhaseTimer:
    """Wall time from lap to lap, in seconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """End a phase."""
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
