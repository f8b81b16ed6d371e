"""Trainings in another process that is killed with SIGKILL while it trains."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import asdict
from pathlib import Path

from pipelines.runs.spec import TrainSpec

ROOT = Path(__file__).resolve().parents[2]
SCRIPT = """
import json, os, signal, sys
from contextlib import contextmanager
from pipelines.runs.spec import TrainSpec
from pipelines.system.progress import Silent
from pipelines.system.records import as_record
from pipelines.train import train

class Task:
    def advance(self, *arguments, **fields):
        pass
    def line(self, text, **options):
        if sys.argv[1] in text:
            os.kill(os.getpid(), signal.SIGKILL)

class Deadly(Silent):
    @contextmanager
    def task(self, name, total):
        yield Task()

train(as_record(json.loads(sys.stdin.read()), TrainSpec), reporter=Deadly())
"""


def train_until(line: str, spec: TrainSpec) -> None:
    """Train, and kill the process when it reports a line that contains this one."""
    process = subprocess.run(
        [sys.executable, "-c", SCRIPT, line],
        input=json.dumps(asdict(spec)),
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stderr=subprocess.DEVNULL,
        check=False,
    )
    assert process.returncode == -signal.SIGKILL, "the training ended before that line"
