"""Shows commands that anyone can copy into a shell, on as many lines as a terminal needs."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.system.progress import Reporter

WIDTH = 80  # columns; a longer path stays whole
INDENT, HANGING = "  ", "      "


def show_command(words: Sequence[str], reporter: Reporter) -> None:
    """Print a command of headstart.

    Args:
        words: after `headstart`, as a program is given them; none of the values begins with `--`.
        reporter: where it is printed.
    """
    for line in command_lines(words):
        reporter.note(line)


def command_lines(words: Sequence[str]) -> list[str]:
    r"""The lines of a command: all but the last end in `\`, and an option stands beside its value."""
    groups = ["headstart"]
    for place, word in enumerate(words):
        if word.startswith("--"):
            groups.append(word)
        elif place and words[place - 1].startswith("--"):
            groups[-1] += f" {shlex.quote(word)}"
        else:
            groups.append(shlex.quote(word))
    # The name and its verb stay together.
    groups[:2] = [" ".join(groups[:2])]
    lines = [INDENT + groups[0]]
    for group in groups[1:]:
        if len(lines[-1]) + len(group) + 3 > WIDTH:
            lines[-1] += " \\"
            lines.append(HANGING + group)
        else:
            lines[-1] += f" {group}"
    return lines
