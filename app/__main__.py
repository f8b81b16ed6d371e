"""The entry point: `headstart ...`, `python -m app ...`: runs the command line, turns what is raised into words.

Imports nothing of ours before it knows that `models` and `pipelines` are ours: packages with such names are easily
hidden by others in a shared environment.
"""

from __future__ import annotations

import codecs
import errno
import importlib.util
import os
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.console import Terminal
    from models.errors import UserError

BUG, INTERRUPTED = 70, 130
PACKAGES = ("models", "pipelines")


def main() -> int:
    """Run `headstart` with the process's arguments and return its exit code."""
    for name in ("stdout", "stderr"):
        if getattr(sys, name) is None:  # closed by the caller: `headstart ... 2>&-`
            setattr(sys, name, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open as long as the process
    if hidden := _hidden_packages():
        print(hidden, file=sys.stderr)
        return 1
    from app.quiet import separate_stderr

    separate_stderr()
    codecs.register_error("bytes or escape", _bytes_or_escape)
    sys.stdout.reconfigure(errors="bytes or escape")  # type: ignore[union-attr]
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they speak to developers; `python -W default -m app` shows them
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    0: done. 1: the user can fix it (`UserError`, a full disk, missing rights). 2: wrong usage. 3: a quality gate
    failed. 70: a bug, with a traceback. 130: interrupted.
    """
    from app.console import Terminal

    terminal = Terminal()
    try:
        code = _run(arguments, terminal)
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output has enough. Python would complain once more when it closes stdout at the end.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as problem:
        return _explain(problem, terminal)
    if code == INTERRUPTED:
        terminal.error("the same command resumes", label="interrupted")
    return code


def _run(arguments: Sequence[str], terminal: Terminal) -> int:
    import typer

    from app.cli import command_line
    from app.help import usage

    try:
        result = command_line().main(list(arguments), prog_name="headstart", standalone_mode=False, obj=terminal)
    except typer.TyperException as problem:
        print(usage(problem), end="", file=sys.stderr)
        # Typer passes on what its checks of a value begin with.
        terminal.error(problem.format_message().replace(": Value error, ", ": "))
        return problem.exit_code
    return result if isinstance(result, int) else 0


def _explain(problem: Exception, terminal: Terminal) -> int:
    """Print what went wrong and how to fix it; a bug keeps its traceback."""
    from models.errors import UserError

    fixable = problem if isinstance(problem, UserError) else _fixable(problem)
    if fixable is None or terminal.is_verbose:
        import traceback

        traceback.print_exception(problem)
    if fixable is None:
        from pipelines.system.versions import versions

        installed = ", ".join(f"{name} {version}" for name, version in versions().items())
        terminal.error(
            f"this is a bug in headstart: {type(problem).__name__}",
            f"please report the lines above, with the command and these versions: {installed}",
        )
        return BUG
    terminal.error(fixable.message, fixable.hint)
    return fixable.exit_code


def _fixable(problem: Exception) -> UserError | None:
    """The UserError that says the same, for what the machine rather than the program is short of."""
    from models.errors import UserError

    if isinstance(problem, MemoryError) or type(problem).__name__ == "ResourceExhaustedError":
        return UserError(
            "not enough memory", "a smaller `--batch` or `--image-size`, or a smaller backbone, needs less"
        )
    if not isinstance(problem, OSError):
        return None
    name = f": `{os.fsdecode(problem.filename)}`" if isinstance(problem.filename, (str, bytes)) else ""
    match problem.errno:
        case errno.ENOSPC | errno.EDQUOT:
            return UserError(
                f"no space left on the disk{name}", "free some, or point `--out` or HEADSTART_CACHE to another disk"
            )
        case errno.EROFS:
            return UserError(f"the file system is read-only{name}", "point `--out` or HEADSTART_CACHE elsewhere")
        case errno.EACCES | errno.EPERM:
            return UserError(f"permission denied{name}", "give yourself the right to it, or name another place")
        case errno.EMFILE | errno.ENFILE:
            return UserError(f"too many open files{name}", "raise the limit with `ulimit -n 4096`")
        case errno.ENAMETOOLONG:
            return UserError(f"the name is too long{name}", "choose a shorter one")
    return None


def _bytes_or_escape(problem: UnicodeError) -> tuple[str | bytes, int]:
    """For stdout: a path comes out as the bytes it has on disk, what the terminal has no letter for as an escape."""
    try:
        return codecs.lookup_error("surrogateescape")(problem)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(problem)


def _hidden_packages() -> str:
    """What to say when another package hides one of ours; empty when `models` and `pipelines` lie beside `app`."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        places = [Path(place).resolve() for place in (spec and spec.submodule_search_locations) or ()]
        if home / name not in places[:1]:
            where = f"`{places[0]}`" if places else "nothing"
            return (
                f"error: headstart's package `{name}` is hidden: {where} is found in place of `{home / name}`\n"
                "hint: install headstart into an environment of its own: `uv tool install` or `pipx install`"
            )
    return ""


if __name__ == "__main__":
    sys.exit(main())
