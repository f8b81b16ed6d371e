"""Reporters for tests."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from pipelines.system.progress import Silent, Task


class Notes(Silent):
    """Keeps the notes and warnings of a verb.

    Attributes:
        lines: all of them, in order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.lines.append(text)


class AllLines(Notes):
    """Keeps the lines of tasks as well, such as one for each epoch."""

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """Give a task whose lines are kept."""
        yield _KeptLines(self.lines)


class _KeptLines:
    def __init__(self, lines: list[str]) -> None:
        self._lines = lines

    def advance(self, count: int = 1, **fields: str) -> None:
        pass

    def line(self, text: str, *, passing: bool = False) -> None:
        self._lines.append(text)
