"""The terminal: where words go, how loud, in which colours; bars on a terminal and lines elsewhere.

stdout carries data (`page`, `data`), stderr everything else. rich is imported when something is drawn with it, so that
help, completion and errors answer without it.
"""

from __future__ import annotations

import enum
import os
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TextIO

from pipelines.system.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress, TaskID

    from pipelines.system.progress import Task

Colour = Literal["auto", "always", "never"]
STYLES = {"error": "31;1", "hint": "36", "warning": "33;1", "interrupted": "33;1"}


class Verbosity(enum.Enum):
    """How much is said on stderr; decided once, by `-q` and `-v`."""

    QUIET = "errors and warnings"
    NORMAL = "what happens"
    VERBOSE = "also timings, where settings come from, TensorFlow's own lines, tracebacks of errors"


def wants_colour(choice: Colour, stream: TextIO) -> bool:
    """Whether `stream` gets colours: as chosen, else a terminal does unless `NO_COLOR` or `TERM=dumb` says no."""
    if choice != "auto":
        return choice == "always"
    return is_live(stream) and not os.environ.get("NO_COLOR")


def is_live(stream: TextIO) -> bool:
    """Whether `stream` is a terminal that can redraw a line."""
    return stream.isatty() and os.environ.get("TERM") not in ("dumb", "unknown")


class _Work:
    """A Task on the terminal: one row of the shared bar where there is one, lines where there is none."""

    def __init__(self, terminal: Terminal, progress: Progress | None, row: TaskID | None) -> None:
        self._terminal, self._progress, self._row = terminal, progress, row
        self._fields: dict[str, str] = {}

    def advance(self, count: int = 1, **fields: str) -> None:
        if self._progress is not None and self._row is not None:
            self._fields |= fields
            # "312 images/s" says what it is, "0.91" does not.
            shown = " ".join(value if " " in value else f"{name} {value}" for name, value in self._fields.items())
            self._progress.update(self._row, advance=count, shown=shown)

    def line(self, text: str, *, passing: bool = False) -> None:
        if not (passing and self._progress):
            self._terminal.note(text)


class Terminal:
    """What a command talks through; a `pipelines.system.progress.Reporter`.

    Attributes:
        verbosity: what is said on stderr.
        colour: the choice behind `--color`.
        bars: whether tasks may draw bars; not where rows go to the same terminal.
    """

    def __init__(self) -> None:
        self.verbosity = Verbosity.NORMAL
        self.colour: Colour = "auto"
        self.bars = True
        self._err: Console | None = None
        self._progress: Progress | None = None
        self._tasks = 0

    @property
    def is_verbose(self) -> bool:
        """Whether `-v` was given."""
        return self.verbosity is Verbosity.VERBOSE

    def note(self, text: str) -> None:
        """One line on stderr, unless `-q`."""
        if self.verbosity is not Verbosity.QUIET:
            self._say("", text)

    def detail(self, text: str) -> None:
        """One line on stderr, only with `-v`."""
        if self.is_verbose:
            self._say("", text)

    def warn(self, text: str) -> None:
        """One line `warning: text` on stderr, always."""
        self._say("warning", text)

    def error(self, message: str, hint: str = "", *, word: str = "error") -> None:
        """`error: message`, and below it `hint: hint` where there is one."""
        self._say(word, message)
        if hint:
            self._say("hint", hint)

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """Show a piece of work of `total` units (None: unknown) while the block runs; tasks may be nested."""
        began = time.monotonic()
        if self.verbosity is Verbosity.QUIET or not self.bars or not is_live(sys.stderr):
            yield _Work(self, None, None)
        else:
            progress = self._progress or self._start()
            row = progress.add_task(one_line(name), total=total, shown="")
            self._tasks += 1
            try:
                yield _Work(self, progress, row)
            finally:
                self._tasks -= 1
                progress.remove_task(row)
                if not self._tasks:
                    self._stop()
        self.detail(f"{name}: {time.monotonic() - began:.1f} s")

    def page(self, *parts: RenderableType, stream: Literal["stdout", "stderr"] = "stdout") -> None:
        """Print tables and text; on something other than a terminal nothing is cut to the width of one."""
        if stream == "stderr" and self.verbosity is Verbosity.QUIET:
            return
        console = self.console(stream)
        for part in parts:
            if not console.is_terminal:
                console.width = max(console.width, _natural_width(part))
            console.print(part, soft_wrap=isinstance(part, str))

    def data(self, text: str) -> None:
        """One line on stdout, as it is: what another program reads."""
        sys.stdout.write(text + "\n")

    def console(self, stream: Literal["stdout", "stderr"]) -> Console:
        """The rich console of a stream, with colours as chosen and nothing guessed from the environment."""
        from rich.console import Console

        if stream == "stderr" and self._err is not None:
            return self._err
        target = sys.stdout if stream == "stdout" else sys.stderr
        return Console(
            stderr=stream == "stderr",
            color_system="standard" if wants_colour(self.colour, target) else None,
            force_terminal=target.isatty(),
            force_interactive=is_live(target),
            highlight=False,
            emoji=False,
            markup=False,
        )

    def _say(self, word: str, text: str) -> None:
        label = f"{word}: " if word else ""
        line = one_line(text)
        # What must stay one line does: an error with its hint, and whatever is read by a program.
        if is_live(sys.stderr) and word not in ("error", "hint"):
            line = _folded(label + line)[len(label) :]
        if self._err is not None:  # a bar is on the screen: rich has to print above it
            from rich.text import Text

            self._err.print(Text.assemble((label, _rich_style(word)) if word else "", line), soft_wrap=True)
            return
        if label and wants_colour(self.colour, sys.stderr):
            label = f"\033[{STYLES[word]}m{word}:\033[0m "
        print(f"{label}{line}", file=sys.stderr, flush=True)

    def _start(self) -> Progress:
        from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
        from rich.table import Column

        self._err = self.console("stderr")
        self._progress = Progress(
            TextColumn("{task.description}", markup=False, table_column=Column(no_wrap=True, max_width=20)),
            BarColumn(bar_width=None, table_column=Column(ratio=1, min_width=6)),
            MofNCompleteColumn(table_column=Column(no_wrap=True)),
            TextColumn("{task.fields[shown]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
            TimeRemainingColumn(compact=True, table_column=Column(no_wrap=True)),
            console=self._err,
            expand=True,
            transient=True,
            redirect_stdout=False,  # rich would send it to stderr
        )
        self._progress.start()
        return self._progress

    def _stop(self) -> None:
        if self._progress is not None:
            self._progress.stop()
        self._progress = self._err = None


def table(columns: Sequence[str], rows: Sequence[Sequence[object]], *, right: Sequence[str] = ()) -> RenderableType:
    """A plain table for `Terminal.page`.

    Args:
        columns: the headings.
        rows: cells, printed by `str`, control characters escaped.
        right: headings of the columns that stand to the right (numbers).
    """
    from rich import box
    from rich.table import Table
    from rich.text import Text

    drawn = Table(box=box.SIMPLE_HEAD, pad_edge=False, show_edge=False, header_style="bold")
    for name in columns:
        drawn.add_column(name, justify="right" if name in right else "left", no_wrap=name in right, overflow="fold")
    for row in rows:
        drawn.add_row(*(Text(one_line(cell)) for cell in row))
    return drawn


def _folded(text: str) -> str:
    """Words on as many lines as the terminal of stderr needs; a long path stays whole."""
    import textwrap

    told = os.environ.get("COLUMNS", "")
    try:
        width = int(told) if told.isdecimal() else os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):
        return text
    if len(text) <= width or width < 20:
        return text
    return textwrap.fill(text, width, subsequent_indent="  ", break_long_words=False, break_on_hyphens=False)


def _rich_style(word: str) -> str:
    return {"error": "bold red", "hint": "cyan"}.get(word, "bold yellow")


def _natural_width(part: RenderableType) -> int:
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(width=10_000)
    return Measurement.get(wide, wide.options, part).maximum
