"""A worker's messages arrive, its death is explained, and it never outlives its parent."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from models.errors import UserError
from models.machine_errors import FullDisk
from pipelines.runs.examples import Skipped
from pipelines.system.progress import Silent, Task
from pipelines.system.worker import run_in_worker

ROOT = Path(__file__).resolve().parents[3]


class Messages:
    """A Reporter that keeps what it is given."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.tasks: list[str] = []

    def note(self, text: str) -> None:
        self.lines.append(text)

    def detail(self, text: str) -> None:
        self.lines.append(f"detail: {text}")

    def warn(self, text: str) -> None:
        self.lines.append(text)

    @contextmanager
    def task(self, name: str, total: int | None) -> Iterator[Task]:
        self.tasks.append(f"{name} of {total} begins")
        yield self
        self.tasks.append(f"{name} ends")

    def advance(self, count: int = 1, **fields: str) -> None:
        self.tasks.append(f"{count} {fields}")

    def line(self, text: str, *, passing: bool = False) -> None:
        self.tasks.append(f"{text} {passing}")


WORKER = """
import os, sys, time
from models.errors import UserError
from pipelines.system.relay import serve

def work(order, relay):
    print("not a message")
    relay.note(f"hello {order['name']}")
    with relay.task("counting", 3) as task:
        task.advance(3)
        task.line("a line")
    with relay.task("saving", None):
        pass
    relay.send(done=order["name"])
    if order["name"] == "refuse":
        raise UserError("no such thing", "try another")
    if order["name"] == "full":
        os.write(os.open("/dev/full", os.O_WRONLY), b"x")
    if order["name"] == "crash":
        raise RuntimeError("a bug")
    if order["name"] == "kill":
        os.kill(os.getpid(), 9)
    if order["name"] == "sleep":
        open(order["file"], "w").write(str(os.getpid()))
        time.sleep(60)

sys.exit(serve(dict, work))
"""


SAVING = ["counting ends", "saving of None begins", "saving ends"]


@pytest.fixture
def worker(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / "a_worker.py").write_text(WORKER)
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    return "a_worker"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("fine", None),
        ("refuse", "no such thing"),
        ("full", "no space left on the disk"),
        ("crash", "RuntimeError: a bug"),
        ("kill", "memory"),
    ],
)
def test_the_messages_of_a_worker_arrive_and_its_end_is_explained(name: str, words: str | None, worker: str) -> None:
    messages, events = Messages(), list[dict[str, str]]()
    if words is None:
        run_in_worker(worker, {"name": name}, reporter=messages, on_event=events.append)
    else:
        with pytest.raises(UserError) as caught:
            run_in_worker(worker, {"name": name}, reporter=messages, on_event=events.append)
        assert words in caught.value.message
        assert isinstance(caught.value, FullDisk) == (name == "full")
    assert messages.lines == [f"hello {name}"]
    assert messages.tasks == ["counting of 3 begins", "3 {}", "a line False", *SAVING]
    assert events == [{"done": name}]


def test_an_order_arrives_as_the_record_that_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a_worker.py").write_text(
        "import os, sys\n"
        "from pipelines.runs.examples import Skipped\n"
        "from pipelines.system.relay import serve\n"
        "def job(order, relay):\n"
        "    relay.send(type=type(order).__name__, path=order.path, bytes=os.fsencode(order.path).hex())\n"
        "sys.exit(serve(Skipped, job))\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    path = os.fsdecode(b"\xff caf\xc3\xa9\n")
    events: list[dict[str, str]] = []
    run_in_worker("a_worker", Skipped(path=path, reason=""), reporter=Silent(), on_event=events.append)
    assert events == [{"type": "Skipped", "path": path, "bytes": os.fsencode(path).hex()}]


def test_a_worker_that_cannot_be_imported_is_explained_by_its_last_line() -> None:
    with pytest.raises(UserError, match=r"failed: .*No module named") as caught:
        run_in_worker("no_such_module_at_all", {}, reporter=Silent(), on_event=print)
    assert caught.value.hint


def test_a_module_where_the_user_stands_does_not_take_the_place_of_ours(
    worker: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "here").mkdir()
    for name in ("models", "pipelines", "json"):
        (tmp_path / "here" / f"{name}.py").write_text("raise SystemExit('the wrong module')\n")
    monkeypatch.chdir(tmp_path / "here")
    run_in_worker(worker, {"name": "fine"}, reporter=Silent(), on_event=lambda event: None)


def test_a_worker_ends_with_its_parent_while_it_still_imports(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Before it has read its order nothing of it watches the parent; one native call in place of an import."""
    (tmp_path / "slow_import.py").write_text(
        "import hashlib, os, sys\n"
        f"open({str(tmp_path / 'pid')!r}, 'w').write(str(os.getpid()))\n"
        "hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)\n"
    )
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    _kill_the_parent("slow_import", signal.SIGKILL, tmp_path)


@pytest.mark.parametrize("way", [signal.SIGINT, signal.SIGKILL])
def test_a_worker_ends_with_its_parent_however_that_ends(way: signal.Signals, worker: str, tmp_path: Path) -> None:
    _kill_the_parent(worker, way, tmp_path)


def _kill_the_parent(worker: str, way: signal.Signals, tmp_path: Path) -> None:
    """Start a worker in a process of its own, send that a signal, and see the worker end."""
    script = f"""
import sys; sys.path.insert(0, {str(ROOT)!r})
from pipelines.system.worker import run_in_worker
from pipelines.system.progress import Silent
run_in_worker({worker!r}, {{"name": "sleep", "file": {str(tmp_path / "pid")!r}}}, reporter=Silent(), on_event=print)
"""
    parent = subprocess.Popen([sys.executable, "-c", script], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    pid = tmp_path / "pid"
    while not (pid.is_file() and pid.read_text()):
        time.sleep(0.02)
        assert parent.poll() is None
    parent.send_signal(way)
    parent.wait()
    deadline = time.monotonic() + 5
    while _lives(int(pid.read_text())):
        assert time.monotonic() < deadline, "the worker outlived its parent"
        time.sleep(0.02)


def _lives(number: int) -> bool:
    try:
        os.kill(number, 0)
        # A process that ended and that nobody has waited for yet.
        return Path(f"/proc/{number}/stat").read_text().split(") ")[-1][0] != "Z"
    except (ProcessLookupError, FileNotFoundError):
        return False
