"""Ctrl-C and SIGTERM end a command with one line and its exit code, whatever the main thread does."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
COMMAND = """
import hashlib, sys, time
import app.cli
from app.__main__ import main

def busy() -> None:
    'Be busy.'
    print("begun", flush=True)
    {work}

app.cli.COMMANDS["busy"] = busy
sys.argv[1:] = ["busy"]
sys.exit(main())
"""
WORK = {
    "python": "time.sleep(600)",
    # One call that Python cannot interrupt, longer than anyone waits.
    "native": "hashlib.pbkdf2_hmac('sha256', b'', b'', 2_000_000_000)",
    "swallowed": "\n    while True:\n        try: time.sleep(600)\n        except BaseException: pass",
    "another exception": "\n    try: time.sleep(600)\n    except BaseException: raise ValueError('from a library')",
    # Python ends: no thread of its own runs any more.
    "slow exit": "app.cli.slow = type('Slow', (), {'__del__': lambda self, sleep=time.sleep: sleep(600)})()"
    "\n    time.sleep(600)",
    "slow end": "\n    try: time.sleep(600)\n    finally: time.sleep(600)",
}


@pytest.fixture(autouse=True)
def heeded_interrupts() -> Iterator[None]:
    """A shell has what it starts in the background ignore SIGINT; so would the commands here, as they should."""
    earlier = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, earlier)


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("work", WORK.values(), ids=list(WORK))
def test_a_signal_ends_a_command_with_one_line(work: str, number: signal.Signals, code: int) -> None:
    with subprocess.Popen(
        [sys.executable, "-c", COMMAND.format(work=work)], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert stderr.decode() == "interrupted: the same command resumes\n"
    assert process.returncode == code


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("step", ["app.quiet.separate_stderr", "warnings.simplefilter", "app.console.Terminal"])
def test_a_signal_at_the_start_of_a_command_has_no_traceback(step: str, number: signal.Signals, code: int) -> None:
    module = step.rpartition(".")[0]
    script = f"import {module}, signal, time, os; {step} = lambda *_: (os.kill(os.getpid(), {number:d}), time.sleep(9))"
    script += "\nimport sys; sys.argv[1:] = ['cache']\nfrom app.__main__ import main\nsys.exit(main())"
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr.decode()) == (code, "interrupted: the same command resumes\n")


@pytest.mark.parametrize("work", ["python", "native"])
def test_an_interrupted_command_leaves_no_source_that_tensorflow_generated(work: str, tmp_path: Path) -> None:
    """AutoGraph writes a module for each function that it rewrites, and deletes it with `atexit`."""
    name = "__autograph_generated_filex1y2z3"
    (tmp_path / f"{name}.py").touch()
    other = tmp_path / "__autograph_generated_fileother.py"  # of another process
    other.touch()
    script = f"import sys; sys.path.append({str(tmp_path)!r}); import {name}\n" + COMMAND.format(work=WORK[work])
    with subprocess.Popen([sys.executable, "-B", "-c", script], cwd=ROOT, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"begun\n"
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=60)
    assert process.returncode == 130
    assert list(tmp_path.iterdir()) == [other]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_to_a_forked_child_ends_the_child_alone(number: signal.Signals) -> None:
    """As of multiprocessing, through which OpenVINO sent telemetry, and ended the child after three seconds."""
    work = f"""import os
    child = os.fork()
    if not child:
        time.sleep(600)
    time.sleep(0.2)
    os.kill(child, {number:d})
    _, status = os.waitpid(child, 0)
    time.sleep(1.5)
    print(os.waitstatus_to_exitcode(status))"""
    done = subprocess.run(
        [sys.executable, "-c", COMMAND.format(work=work)], cwd=ROOT, capture_output=True, check=False, timeout=60
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, f"begun\n{-number:d}\n".encode(), b"")


def test_a_signal_that_the_parent_ignores_stays_ignored() -> None:
    script = "import signal; signal.signal(signal.SIGINT, signal.SIG_IGN)\n" + COMMAND.format(
        work="import os; os.kill(os.getpid(), signal.SIGINT); time.sleep(1)"
    )
    done = subprocess.run([sys.executable, "-c", script], cwd=ROOT, capture_output=True, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
