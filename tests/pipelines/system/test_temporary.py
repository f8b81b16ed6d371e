"""Temporary folders end with their block, or are swept when their owner is dead; others are left alone."""

from __future__ import annotations

import signal
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from pipelines.system.temporary import temporary_folder

ROOT = Path(__file__).resolve().parents[3]
OWNER = """
import sys
from pathlib import Path
from pipelines.system.temporary import temporary_folder
with temporary_folder(".export-", Path(sys.argv[1])) as folder:
    (folder / "half").touch()
    print(folder.name, flush=True)
    sys.stdin.read()
"""


def test_a_folder_ends_with_its_block(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(KeyboardInterrupt), temporary_folder(".export-", tmp_path) as folder:
        (folder / "half").touch()
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    with temporary_folder("headstart-export-") as folder:
        assert folder.parent == tmp_path


def test_what_a_killed_process_left_is_swept_and_nothing_else(tmp_path: Path) -> None:
    (tmp_path / ".export-theirs").mkdir()  # without a lock file: not ours
    with subprocess.Popen(
        [sys.executable, "-c", OWNER, str(tmp_path)], cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as owner:
        assert owner.stdout is not None
        left = tmp_path / owner.stdout.readline().strip()
        with temporary_folder(".export-", tmp_path):
            assert (left / "half").exists()  # its owner lives
        owner.send_signal(signal.SIGKILL)
    assert (left / "half").exists()
    with temporary_folder(".export-", tmp_path):
        assert not left.exists()
    assert [path.name for path in tmp_path.iterdir()] == [".export-theirs"]
