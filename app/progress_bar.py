"""Draws the progress of tasks as bars on a terminal; rich is imported with the first bar."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress, TaskID

EVERY_SECONDS = 10.0  # between two lines that count, without a terminal


@dataclass(slots=True)
class LineTask:
    """A `pipelines.system.progress.Task` without a bar: its lines alone.

    Attributes:
        note: prints a line.
    """

    note: Callable[[str], None]

    def advance(self, count: int = 1, **fields: str) -> None:
        """Show nothing: there is no bar."""

    def line(self, text: str, *, passing: bool = False) -> None:
        """Print a line, a passing one too."""
        self.note(text)


@dataclass(slots=True)
class CountedLineTask:
    """A task without a terminal: a line where it begins, its own lines, and one now and then that counts.

    Attributes:
        note: prints a line.
        name: of the task.
        total: units; None where their number is unknown.
    """

    note: Callable[[str], None]
    name: str
    total: int | None
    _done: int = 0
    _spoke_at: float = field(default_factory=lambda: time.monotonic())

    def begin(self) -> None:
        """Print that it begins."""
        self.note(self.name if self.total is None else f"{self.name}: {self.total:,}")

    def advance(self, count: int = 1, **fields: str) -> None:
        """Print how far it is, where nothing was printed for a while."""
        self._done += count
        if self.total is not None and time.monotonic() - self._spoke_at >= EVERY_SECONDS:
            self.line(f"{self.name}: {self._done:,} of {self.total:,}")

    def line(self, text: str, *, passing: bool = False) -> None:
        """Print a line, a passing one too."""
        self._spoke_at = time.monotonic()
        self.note(text)


@dataclass(slots=True)
class BarTask:
    """A `pipelines.system.progress.Task` with one row of the bars on the screen.

    Attributes:
        note: prints a line above the bars.
        progress: the bars.
        row: this task's.
    """

    note: Callable[[str], None]
    progress: Progress
    row: TaskID
    _fields: dict[str, str] = field(default_factory=dict)

    def advance(self, count: int = 1, **fields: str) -> None:
        """Advance the bar by `count` units; earlier fields stay beside it until they get a new value."""
        self._fields |= fields
        # "312 images/s" needs no name beside it, "0.91" does.
        shown = " ".join(value if " " in value else f"{name} {value}" for name, value in self._fields.items())
        self.progress.update(self.row, advance=count, shown=shown)

    def line(self, text: str, *, passing: bool = False) -> None:
        """Print a line above the bars, unless it is a passing one."""
        if not passing:
            self.note(text)


def new_progress(console: Console) -> Progress:
    """Bars for `console`, not started yet; a row has the field `shown`, the text after its bar."""
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
    from rich.table import Column

    return Progress(
        TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=20)),
        BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=6)),
        MofNCompleteColumn(table_column=Column(no_wrap=True)),
        TextColumn("{task.fields[shown]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
        console=console,
        expand=True,
        transient=True,
        redirect_stdout=False,  # rich would send it to stderr
    )
