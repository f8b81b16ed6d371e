"""Runs the command line (`headstart`, `python -m app`) and turns exceptions into messages and exit codes.

The project's other packages are imported only after a check that they are the project's: in a shared environment
another package may be called `models` or `pipelines`.
"""

from __future__ import annotations

import atexit
import codecs
import gc
import importlib.util
import io
import os
import sys
import warnings
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from app.console import Terminal

BUG, INTERRUPTED = 70, 130
PACKAGES = ("models", "pipelines")

_finished: list[int] = []  # the exit code of a command that has ended


def main() -> int:
    """Run `headstart` with the process's arguments and return its exit code."""
    from app.first_sign import erase_first_sign, show_first_sign
    from app.signals import LINE, delete_generated_sources, end_on_signals, exit_code, is_interrupted

    for stream in ("stdout", "stderr"):
        if getattr(sys, stream) is None:  # closed by the caller: `headstart ... 2>&-`; a pipe would take its place
            setattr(sys, stream, open(os.devnull, "w", encoding="utf-8"))  # noqa: SIM115  open as long as the process
    atexit.register(_end_at_once)  # before any other, and so called after all others
    end_on_signals()
    show_first_sign(sys.argv[1:])
    try:
        code = _prepare_and_run()
    except KeyboardInterrupt:  # outside of `run`, which handles it
        erase_first_sign()
        with suppress(OSError):
            print(LINE, file=sys.stderr, flush=True)
        code = exit_code()
    erase_first_sign()
    if is_interrupted():
        # Python's own end waits for TensorFlow's threads, seven seconds where it trains; everything is written.
        delete_generated_sources()
        os._exit(code)
    _finished[:] = [code]
    return code


def _end_at_once() -> None:
    """End the process where all other work at its end is done: to take TensorFlow apart takes Python a second.

    An import of it that still runs in another thread, while an error has ended the command, ends with the process.
    """
    if _finished and "tensorflow" in sys.modules:
        for stream in (sys.stdout, sys.stderr):
            with suppress(OSError, ValueError):
                stream.flush()
        os._exit(_finished[0])


def _prepare_and_run() -> int:
    # Importing makes many objects and no garbage: collecting every 100,000 instead of 700 saves some of each start.
    # Full collections come every 300,000 objects; by default, with the 365,000 of TensorFlow loaded, every 91,000.
    gc.set_threshold(100_000, 2, 1)
    if os.path.expanduser("~") == "~":  # no HOME, and a user without an entry: Keras would make a folder named `~`
        os.environ.setdefault("KERAS_HOME", "/tmp/.keras")
    if message := _hidden_package():
        from app.first_sign import erase_first_sign

        erase_first_sign()
        print(message, file=sys.stderr)
        return 1
    from app.quiet import separate_stderr

    separate_stderr()
    codecs.register_error("bytes or escape", _bytes_or_escape)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="bytes or escape")
    if not sys.warnoptions:
        warnings.simplefilter("ignore")  # they are for developers; `python -W default -m app` shows them
    return run(sys.argv[1:])


def run(arguments: Sequence[str]) -> int:
    """Run one command line and return its exit code.

    Returns:
        0: success. 1: an error that the user can fix (`UserError`, a full disk, missing rights). 2: wrong usage. 3: a
        quality gate failed. 70: a bug, with a traceback. 130: interrupted. 143: ended by SIGTERM.
    """
    from app.console import Terminal
    from app.signals import exit_code, is_interrupted

    terminal = Terminal()
    try:
        code = _run(arguments, terminal)
        sys.stdout.flush()
    except BrokenPipeError:
        # The reader of stdout has stopped reading. Python would report that again when it closes stdout at exit.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except KeyboardInterrupt:
        code = INTERRUPTED
    except Exception as error:  # Whatever was raised ends in a message and an exit code; a bug keeps its traceback.
        if not is_interrupted():
            return _report(error, terminal)
        code = INTERRUPTED
    if code == INTERRUPTED:
        terminal.error("the same command resumes", label="interrupted")
        return exit_code()
    return code


def _run(arguments: Sequence[str], terminal: Terminal) -> int:
    import typer

    from app.cli import command_line
    from app.first_sign import erase_first_sign
    from app.help import message, usage

    try:
        result = command_line().main(list(arguments), prog_name="headstart", standalone_mode=False, obj=terminal)
    except typer.TyperException as error:
        erase_first_sign()
        print(usage(error), end="", file=sys.stderr)
        terminal.error(*message(error))
        return error.exit_code
    return result if isinstance(result, int) else 0


def _report(error: Exception, terminal: Terminal) -> int:
    """Print what went wrong and how to fix it, with a traceback where it is a bug; return the exit code."""
    from models.machine_errors import as_user_error

    user_error = as_user_error(error)
    if user_error is None or terminal.is_verbose:
        import traceback

        from app.first_sign import erase_first_sign

        erase_first_sign()
        traceback.print_exception(error)
    if user_error is not None:
        terminal.error(user_error.message, user_error.hint)
        return user_error.exit_code
    from pipelines.system.versions import versions

    installed = ", ".join(f"{name} {version}" for name, version in versions().items())
    terminal.error(
        f"this is a bug in headstart: {type(error).__name__}",
        f"please report the lines above, with the command and these versions: {installed}",
    )
    return BUG


def _bytes_or_escape(error: UnicodeError) -> tuple[str | bytes, int]:
    """An error handler for stdout: a path keeps its bytes on disk, a character without encoding becomes an escape."""
    try:
        return codecs.lookup_error("surrogateescape")(error)
    except UnicodeError:
        return codecs.lookup_error("backslashreplace")(error)


def _hidden_package() -> str:
    """The message that another package hides one of PACKAGES; empty where each of them lies beside `app`."""
    home = Path(__file__).resolve().parents[1]
    for name in PACKAGES:
        spec = importlib.util.find_spec(name)
        folders = [Path(folder).resolve() for folder in (spec and spec.submodule_search_locations) or ()]
        if home / name not in folders[:1]:
            other = f"`{folders[0]}`" if folders else "nothing"
            return (
                f"error: headstart's package `{name}` is hidden: {other} is found in place of `{home / name}`\n"
                "hint: install headstart into an environment of its own: `uv tool install` or `pipx install`"
            )
    return ""


if __name__ == "__main__":
    sys.exit(main())
