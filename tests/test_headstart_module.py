"""`python -m headstart`, and what is said where a script of the user hides headstart's own package."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]


def run_in(folder: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    return subprocess.run(
        [sys.executable, "-m", "headstart", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def test_it_is_the_command_line(tmp_path: Path) -> None:
    done = run_in(tmp_path, "--version")
    assert (done.returncode, done.stdout, done.stderr) == (0, "0.1.0\n", "")
    assert run_in(tmp_path, "train", "photso", "--out", "run").returncode == 1


def test_a_script_called_app_is_named_and_not_run(tmp_path: Path) -> None:
    (tmp_path / "app.py").write_text("print('mine'); raise SystemExit(7)")
    done = run_in(tmp_path, "--version")
    assert (done.returncode, done.stdout) == (1, "")
    error, hint = done.stderr.splitlines()
    assert error.startswith("error: headstart's package `app` is hidden: ") and f"`{tmp_path / 'app.py'}`" in error
    assert hint.startswith("hint: ")
