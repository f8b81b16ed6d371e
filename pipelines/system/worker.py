"""Runs a job in a child process and relays its progress, so that its memory is freed when the job ends.

`pipelines.system.relay` is the child's side.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Callable
from contextlib import ExitStack, suppress
from pathlib import Path
from typing import IO

import msgspec

from models.errors import UserError
from models.machine_errors import FullDisk, full_disk
from pipelines.system.messages import (
    DetailLine,
    Event,
    Failure,
    NoteLine,
    TaskAdvance,
    TaskEnd,
    TaskLine,
    TaskStart,
    WarningLine,
    read_message,
)
from pipelines.system.progress import Reporter, Task

ROOT = Path(__file__).resolve().parents[2]
# Bytes at the end of the worker's stderr in which the reason of a crash is looked for.
STDERR_TAIL = 4000
# Seconds that a worker has to end by itself after SIGTERM.
TERMINATION_SECONDS = 5


def run_in_worker(module: str, order: object, *, reporter: Reporter, on_event: Callable[[Event], None]) -> None:
    """Run `python -m module`, give it an order and relay its messages until it ends.

    Args:
        module: calls `pipelines.system.relay.serve` when it is run as a script.
        order: a record of what to do, or plain data; travels as JSON.
        reporter: gets the worker's notes, warnings and tasks.
        on_event: gets what the worker sends with `ProgressRelay.send`.

    Raises:
        FullDisk: a disk was full.
        UserError: what the job raised, or why the process died.
    """
    with tempfile.TemporaryFile() as stderr, _start(module, stderr) as worker:
        assert worker.stdin is not None and worker.stdout is not None
        try:
            _give_order(worker.stdin, order)
            failure = _relay(worker.stdout, reporter, on_event)
            code = worker.wait()
        finally:
            _end(worker)
        stderr.seek(max(0, stderr.seek(0, os.SEEK_END) - STDERR_TAIL))
        tail = stderr.read().decode("utf-8", "backslashreplace")
    if failure is not None:
        raise FullDisk(failure.message) if failure.is_full_disk else UserError(failure.message, failure.hint)
    if code:
        error = _crash(code, tail)
        raise full_disk(error) or error


def bound_to_this(program: str, *arguments: str) -> list[str]:
    """The command line of a Python module or file that the system kills when this process ends, however that happens.

    Args:
        program: a module's name, or the path of a file that ends in `.py`.
        arguments: that it gets.
    """
    starter = os.fspath(Path(__file__).with_name("with_parent.py"))
    return [sys.executable, "-P", starter, str(os.getpid()), program, *arguments]


def _start(module: str, stderr: IO[bytes]) -> subprocess.Popen[str]:
    # -P, and our own folder first: no module in the folder where the user stands takes the place of ours.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    return subprocess.Popen(
        bound_to_this(module),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=stderr,
        env=environment,
        encoding="utf-8",
        # Ctrl-C reaches the parent alone, which ends the worker.
        start_new_session=True,
    )


def _give_order(stdin: IO[str], order: object) -> None:
    with suppress(BrokenPipeError):  # it died at once: its exit code says how
        stdin.write(json.dumps(msgspec.to_builtins(order)) + "\n")
        stdin.flush()


def _relay(stdout: IO[str], reporter: Reporter, on_event: Callable[[Event], None]) -> Failure | None:
    """Pass messages on until the worker closes its end; return the failure that it sent, if any."""
    failure: Failure | None = None
    tasks: dict[int, tuple[ExitStack, Task]] = {}
    with ExitStack() as open_tasks:
        for line in stdout:
            match read_message(line):
                case NoteLine(text):
                    reporter.note(text)
                case DetailLine(text):
                    reporter.detail(text)
                case WarningLine(text):
                    reporter.warn(text)
                case TaskStart(number, name, total):
                    context = open_tasks.enter_context(ExitStack())
                    tasks[number] = context, context.enter_context(reporter.task(name, total))
                case TaskAdvance(number, count, fields):
                    tasks[number][1].advance(count, **fields)
                case TaskLine(number, text, passing):
                    tasks[number][1].line(text, passing=passing)
                case TaskEnd(number):
                    tasks.pop(number)[0].close()
                case Failure() as failure:
                    pass
                case event:
                    on_event(event)
    return failure


def _end(worker: subprocess.Popen[str]) -> None:
    """Terminate a worker that still runs, and kill it where that does not help."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(TERMINATION_SECONDS)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    if worker.stdin is not None:
        with suppress(BrokenPipeError):
            worker.stdin.close()


def _crash(code: int, stderr: str) -> UserError:
    """The error for a worker that died without sending a failure."""
    last_line = next((line for line in reversed(stderr.splitlines()) if line.strip()), "")
    if code == -signal.SIGKILL:
        return UserError(
            "the worker process was killed, most likely because memory ran out",
            "give fewer --heads, or a smaller backbone",
        )
    cause = f"died of signal {-code}" if code < 0 else "failed"
    return UserError(f"the worker process {cause}: {last_line}", "please report it with the command")
