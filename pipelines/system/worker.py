"""Work in a process of its own, whose memory comes back when it ends: words and progress are passed on as JSON lines.

The worker ends when its parent does, however that ends: the parent holds the other end of its stdin.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, TextIO

from models.errors import UserError
from pipelines.system.progress import Reporter, Task

ROOT = Path(__file__).resolve().parents[2]
INTERRUPTED, BUG = 130, 70
ADVANCE_SECONDS = 0.1
TAIL = 4000


def run_in_worker(
    module: str, order: dict[str, Any], *, reporter: Reporter, on_event: Callable[[dict[str, Any]], None]
) -> None:
    """Run `python -m module` with an order, and pass on what it says until it ends.

    Args:
        module: calls `serve`.
        order: what it is to do; JSON.
        reporter: where its words and progress go.
        on_event: gets what the worker sends with `Relay.send`.

    Raises:
        UserError: what the worker raised, or that it was killed.
    """
    # -P, and our own folder first: nothing in the folder where the user stands takes the place of our modules.
    paths = [str(ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    environment.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with (
        tempfile.TemporaryFile() as words,
        subprocess.Popen(
            [sys.executable, "-P", "-m", module],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=words,
            env=environment,
            encoding="utf-8",
            # A Ctrl-C reaches the parent alone, which ends the worker.
            start_new_session=True,
        ) as worker,
    ):
        assert worker.stdin is not None and worker.stdout is not None
        try:
            _hand_over(worker.stdin, order)
            problem = _listen(worker.stdout, reporter, on_event)
            code = worker.wait()
        finally:
            _end(worker)
        words.seek(max(0, words.seek(0, os.SEEK_END) - TAIL))
        tail = words.read().decode("utf-8", "backslashreplace")
    if problem is not None:
        raise UserError(problem["message"], problem["hint"])
    if code:
        raise UserError(*_death(code, tail))


def _hand_over(stdin: TextIO | Any, order: dict[str, Any]) -> None:
    with suppress(BrokenPipeError):  # it died at once: its exit code says how
        stdin.write(json.dumps(order) + "\n")
        stdin.flush()


def _listen(
    stdout: TextIO | Any, reporter: Reporter, on_event: Callable[[dict[str, Any]], None]
) -> dict[str, str] | None:
    """Pass on lines until the worker closes its end; what it failed with, if it did."""
    problem: dict[str, str] | None = None
    tasks: dict[int, tuple[ExitStack, Task]] = {}
    with ExitStack() as open_tasks:
        for line in stdout:
            said = json.loads(line)
            match said.pop("kind"):
                case "note":
                    reporter.note(said["text"])
                case "warn":
                    reporter.warn(said["text"])
                case "begin":
                    stack = open_tasks.enter_context(ExitStack())
                    tasks[said["task"]] = stack, stack.enter_context(reporter.task(said["name"], said["total"]))
                case "advance":
                    tasks[said["task"]][1].advance(said["count"], **said["fields"])
                case "line":
                    tasks[said["task"]][1].line(said["text"], passing=said["passing"])
                case "end":
                    tasks.pop(said["task"])[0].close()
                case "problem":
                    problem = said
                case _:
                    on_event(said)
    return problem


def _end(worker: subprocess.Popen[str]) -> None:
    """End a worker that still runs: asked first, then killed."""
    if worker.poll() is None:
        worker.terminate()
        try:
            worker.wait(5)
        except subprocess.TimeoutExpired:
            worker.kill()
            worker.wait()
    if worker.stdin is not None:
        with suppress(BrokenPipeError):
            worker.stdin.close()


def _death(code: int, tail: str) -> tuple[str, str]:
    last = next((line for line in reversed(tail.splitlines()) if line.strip()), "")
    if code == -signal.SIGKILL:
        return "its process was killed, most likely for want of memory", "give fewer --heads, or a smaller backbone"
    if code < 0:
        return f"its process died of signal {-code}: {last}", "please report it with the command"
    return f"its process failed: {last}", "please report it with the command"


class ProgressRelay:
    """A Reporter in the worker: what it is told goes to the parent.

    Attributes:
        lines: whether the lines of tasks are passed on.
    """

    def __init__(self, stream: TextIO) -> None:
        self.lines = True
        self._stream, self._lock, self._count = stream, threading.Lock(), 0

    def send(self, **values: Any) -> None:
        """Send an event; values are JSON."""
        with self._lock:
            self._stream.write(json.dumps({"kind": "event", **values}) + "\n")
            self._stream.flush()

    def note(self, text: str) -> None:
        """One line of information."""
        self.send(kind="note", text=text)

    def warn(self, text: str) -> None:
        """One line that should be looked at."""
        self.send(kind="warn", text=text)

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        """A piece of work."""
        self._count += 1
        number = self._count
        self.send(kind="begin", task=number, name=name, total=total)
        task = _RelayedTask(self, number)
        try:
            yield task
        finally:
            task.flush()
            self.send(kind="end", task=number)


class _RelayedTask:
    """Advances, a few a second."""

    def __init__(self, relay: ProgressRelay, number: int) -> None:
        self._relay, self._number = relay, number
        self._waiting, self._fields, self._last = 0, dict[str, str](), 0.0

    def advance(self, count: int = 1, **fields: str) -> None:
        self._waiting += count
        self._fields |= fields
        if time.monotonic() - self._last >= ADVANCE_SECONDS:
            self.flush()

    def line(self, text: str, *, passing: bool = False) -> None:
        if self._relay.lines:
            self._relay.send(kind="line", task=self._number, text=text, passing=passing)

    def flush(self) -> None:
        if self._waiting:
            self._relay.send(kind="advance", task=self._number, count=self._waiting, fields=self._fields)
        self._waiting, self._last = 0, time.monotonic()


def serve(work: Callable[[dict[str, Any], ProgressRelay], None]) -> int:
    """In the worker: take the order from stdin, do the work, send what is said to stdout; the exit code."""
    order = json.loads(sys.stdin.readline())
    # Whatever else prints to stdout must not get between the lines.
    stream = open(os.dup(1), "w", encoding="utf-8")  # noqa: SIM115  open as long as the process
    os.dup2(2, 1)
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    relay = ProgressRelay(stream)
    try:
        work(order, relay)
    except UserError as error:
        relay.send(kind="problem", message=error.message, hint=error.hint)
        return 1
    except Exception:
        traceback.print_exc()
        return BUG
    return 0


def _leave_with_parent() -> None:
    sys.stdin.read()
    os._exit(INTERRUPTED)
