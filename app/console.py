"""The terminal: data to stdout, messages and progress to stderr, as loud and as colourful as the user asked.

rich is imported when something is drawn with it, so that help, completion and errors answer without it.
"""

from __future__ import annotations

import enum
import os
import sys
import textwrap
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Literal, TypeAlias

from app.colour import Colour, coloured, is_live, wants_colour
from app.first_sign import erase_first_sign
from app.progress_bar import BarTask, CountedLineTask, LineTask, new_progress
from pipelines.system.text import one_line

if TYPE_CHECKING:
    from rich.console import Console, RenderableType
    from rich.progress import Progress

    from pipelines.system.progress import Task

Stream: TypeAlias = Literal["stdout", "stderr"]
NARROWEST = 20  # columns; on a narrower terminal wrapping helps nobody


class Verbosity(enum.Enum):
    """What stderr shows; set once, by `-q` or `-v`."""

    QUIET = "errors and warnings"
    NORMAL = "progress and results too"
    VERBOSE = "timings, options set by variables, TensorFlow's own lines and tracebacks of errors too"


class Terminal:
    """The streams of a command; a `pipelines.system.progress.Reporter`.

    Attributes:
        verbosity: what stderr shows.
        verbosity_is_flag: whether a flag set that, not a variable.
        colour: the value of `--color`.
        allows_bars: whether tasks may draw bars; False where rows go to the same terminal.
    """

    def __init__(self) -> None:
        self.verbosity = Verbosity.NORMAL
        self.verbosity_is_flag = False
        self.colour: Colour = "auto"
        self.allows_bars = True
        self._progress: Progress | None = None
        self._lock = threading.RLock()  # of the bars

    @property
    def is_verbose(self) -> bool:
        """Whether `-v` was given."""
        return self.verbosity is Verbosity.VERBOSE

    def note(self, text: str) -> None:
        """Print a line to stderr, unless `-q`."""
        if self.verbosity is not Verbosity.QUIET:
            self._print_line(text)

    def detail(self, text: str) -> None:
        """Print a line to stderr, only with `-v`."""
        if self.is_verbose:
            self._print_line(text)

    def warn(self, text: str) -> None:
        """Print `warning: text` to stderr, with `-q` too."""
        self._print_line(text, "warning")

    def error(self, message: str, hint: str = "", *, label: str = "error") -> None:
        """Print `error: message` to stderr, and `hint: hint` below it where there is one."""
        self._print_line(message, label)
        if hint:
            self._print_line(hint, "hint")

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """Show the progress of a task of `total` units (None: unknown) while the block runs; tasks may be nested.

        Without a terminal a line says that it began, and a line every `EVERY_SECONDS` how far it is.
        """
        start = time.monotonic()
        if self.verbosity is Verbosity.QUIET or not self.allows_bars:
            yield LineTask(self.note)
        elif not is_live(sys.stderr):
            task = CountedLineTask(self.note, name, total)
            task.begin()
            yield task
        else:
            with self._bar(name, total) as bar:
                yield bar
        self.detail(f"{name}: {time.monotonic() - start:.1f} s")

    def page(self, *parts: RenderableType, stream: Stream = "stdout") -> None:
        """Print tables and text, on stderr unless `-q`; where that is not a terminal, nothing is cut to a width."""
        if stream == "stderr" and self.verbosity is Verbosity.QUIET:
            return
        console = self.console(stream)
        for part in parts:
            if not console.is_terminal:
                console.width = max(console.width, _natural_width(part))
            console.print(part, soft_wrap=isinstance(part, str))

    def data(self, text: str) -> None:
        """Print a line to stdout, unchanged, for another program to read."""
        erase_first_sign()
        sys.stdout.write(text + "\n")

    def console(self, stream: Stream) -> Console:
        """The rich console of a stream, with colours as chosen and nothing guessed from the environment."""
        from rich.console import Console

        erase_first_sign()
        if stream == "stderr" and self._progress is not None:
            return self._progress.console
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

    @contextmanager
    def _bar(self, name: str, total: int | None) -> Iterator[BarTask]:
        """A row of the bars, which begin with the first task and end with the last; threads may have tasks at once."""
        with self._lock:
            progress = self._progress or self._start_progress()
            row = progress.add_task(one_line(name), total=total, shown="")
        try:
            yield BarTask(self.note, progress, row)
        finally:
            with self._lock:
                progress.remove_task(row)
                if not progress.tasks:
                    self._progress = None
                    progress.stop()

    def _start_progress(self) -> Progress:
        self._progress = new_progress(self.console("stderr"))
        self._progress.start()
        return self._progress

    def _print_line(self, text: str, label: str = "") -> None:
        erase_first_sign()
        prefix = f"{label}: " if label else ""
        line = one_line(text)
        # An error and its hint stay one line each: programs read them too.
        if label not in ("error", "hint") and is_live(sys.stderr):
            line = _wrapped(line, prefix)
        progress = self._progress  # Another thread's last task may end meanwhile.
        if progress is not None:  # Only rich can print above its bars.
            from rich.text import Text

            label_text = Text.from_ansi(coloured(label)).append(" ") if label else Text()
            progress.console.print(label_text.append(line), soft_wrap=True)
            return
        if label and wants_colour(self.colour, sys.stderr):
            prefix = f"{coloured(label)} "
        print(f"{prefix}{line}", file=sys.stderr, flush=True)


def _wrapped(text: str, prefix: str) -> str:
    """`text` on as many lines as the terminal of stderr needs after `prefix`; a long path stays whole."""
    columns = os.environ.get("COLUMNS", "")
    try:
        width = int(columns) if columns.isdecimal() else os.get_terminal_size(sys.stderr.fileno()).columns
    except (OSError, ValueError):  # ValueError: a stream without a descriptor
        return text
    if len(prefix) + len(text) <= width or width < NARROWEST:
        return text
    lines = textwrap.fill(
        text,
        width,
        initial_indent=prefix,
        subsequent_indent="  ",
        break_long_words=False,
        break_on_hyphens=False,
    )
    return lines[len(prefix) :]


def _natural_width(part: RenderableType) -> int:
    """Columns that a table or text takes where it may be as wide as it wants."""
    from rich.console import Console
    from rich.measure import Measurement

    wide = Console(width=10_000)
    return Measurement.get(wide, wide.options, part).maximum
