"""A folder to run commands in, each as a process of its own, and what is left of them there."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.evaluation.saved_predictions import read_predictions
from pipelines.system.cache_users import USERS_FILE

ROOT = Path(__file__).resolve().parents[2]
DEADLINE = 300.0  # seconds, for a command on a machine that is very busy
GRACE = 5.0  # seconds that a killed command's other processes have to end
# TensorFlow writes its traced functions as modules for its own use, and removes them at exit.
OF_TENSORFLOW = "__autograph_generated_file"


@dataclass(slots=True)
class Place:
    """A working directory with a cache and a temporary folder of its own.

    Attributes:
        folder: where commands run.
        prefix: before each command, such as one that gives it a small disk.
        variables: of its environment.
    """

    folder: Path
    prefix: tuple[str, ...] = ()
    variables: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Make the folders."""
        (self.folder / "tmp").mkdir(parents=True, exist_ok=True)

    def start(self, *command: str, module: str = "app") -> subprocess.Popen[str]:
        """Start a command in a session of its own."""
        environment = {
            **os.environ,
            "PYTHONPATH": str(ROOT),
            "HEADSTART_CACHE": str(self.folder / "cache"),
            "TMPDIR": str(self.folder / "tmp"),
            **self.variables,
        }
        return subprocess.Popen(
            [*self.prefix, sys.executable, "-m", module, *command],
            cwd=self.folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        )

    def run(self, *command: str, module: str = "app") -> tuple[int, str, str]:
        """Run a command; its exit code, stdout and stderr."""
        process = self.start(*command, module=module)
        out, err = process.communicate(timeout=DEADLINE)
        return process.returncode, out, err

    def kill_when(self, pattern: str, *command: str) -> subprocess.Popen[str]:
        """Run a command, and kill it as soon as a file or folder like this exists below the working directory."""
        process = self.start(*command)
        until = time.monotonic() + DEADLINE
        while not any(self.folder.glob(pattern)):
            assert process.poll() is None, f"{command} ended before there was {pattern}"
            assert time.monotonic() < until
            time.sleep(0.005)
        process.kill()
        process.communicate(timeout=DEADLINE)
        return process

    def hidden(self) -> list[str]:
        """Files and folders that nobody asked for: hidden ones, and what lies in the temporary folder."""
        temporary = [path for path in (self.folder / "tmp").iterdir() if not path.name.startswith(OF_TENSORFLOW)]
        # An unfinished shard may belong to another machine: it is swept after an hour (see `ShardStore`).
        below = [path for path in self.folder.rglob(".*") if not path.name.startswith((".writing-", USERS_FILE))]
        return sorted(str(path.relative_to(self.folder)) for path in (*below, *temporary))


def outcome(run: Path) -> dict[str, Any]:
    """What a complete run says: scores, and probabilities of each image to the bit; and which files it has."""
    manifest = json.loads((run / "run.json").read_text())
    predictions = {part: read_predictions(run, part) for part in ("validation", "test")}
    return {
        "metrics": manifest["metrics"],
        "predictions": {part: saved.probabilities.tolist() for part, saved in predictions.items() if saved},
        "files": sorted(str(path.relative_to(run)) for path in run.rglob("*")),
    }


def survivors(session: int) -> list[int]:
    """Processes of a session that are still alive after a while."""
    until = time.monotonic() + GRACE
    while alive := [pid for pid in _processes() if _session_of(pid) == session]:
        if time.monotonic() > until:
            return alive
        time.sleep(0.05)
    return []


def _processes() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def _session_of(pid: int) -> int | None:
    """The session of a process that is neither gone nor dead."""
    try:
        # pid (name) state parent group session ...: the name may hold spaces.
        fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    return None if fields[0] in "ZX" else int(fields[3])
