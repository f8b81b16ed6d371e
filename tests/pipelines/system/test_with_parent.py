"""A program that is bound to its parent runs as it would alone, and ends with the parent."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from pipelines.system import with_parent
from pipelines.system.worker import bound_to_this


def test_a_file_runs_as_the_main_program_with_its_arguments(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("import sys; print(__name__, sys.argv[1:], 'pipelines' in sys.modules)")
    done = subprocess.run(bound_to_this(str(tmp_path / "program.py"), "a b", "c"), capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (0, "__main__ ['a b', 'c'] False\n")


def test_a_module_runs_as_the_main_program() -> None:
    done = subprocess.run(bound_to_this("platform", "terse"), capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("Linux") or "-" in done.stdout


def test_a_program_whose_parent_is_gone_does_not_start(tmp_path: Path) -> None:
    (tmp_path / "program.py").write_text("print('started')")
    command = [sys.executable, "-P", with_parent.__file__, str(os.getpid() + 1), str(tmp_path / "program.py")]
    done = subprocess.run(command, capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (1, "")
