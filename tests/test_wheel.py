"""What is shipped: the three packages, the module that `python -m headstart` runs, and nothing else."""

from __future__ import annotations

import re
import subprocess
import sys
import zipfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built without network and outside the checkout."""
    folder = tmp_path_factory.mktemp("wheel")
    command = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", str(folder), str(ROOT)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    (built,) = folder.glob("*.whl")
    return built


def test_wheel_holds_the_three_packages_and_its_metadata(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        names = archive.namelist()
    (info,) = {name.partition("/")[0] for name in names if ".dist-info/" in name}
    assert {name.partition("/")[0] for name in names} == {"app", "models", "pipelines", "headstart.py", info}
    modules = {
        path.relative_to(ROOT).as_posix()
        for package in ("app", "models", "pipelines")
        for path in (ROOT / package).rglob("*.py")
    } | {"headstart.py"}
    assert {name for name in names if name.endswith(".py")} == modules
    assert f"{info}/licenses/LICENSE" in names


def test_wheel_installs_the_command(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as archive:
        (entry_points,) = [name for name in archive.namelist() if name.endswith("entry_points.txt")]
        assert "headstart = headstart:main" in archive.read(entry_points).decode()


def test_lock_has_hashes_and_no_addresses() -> None:
    lock = (ROOT / "requirements.lock").read_text(encoding="utf-8")
    assert not re.search(r"https?:|file:|--index-url|--find-links|/opt/", lock)
    requirements = [entry for entry in lock.replace("\\\n", " ").splitlines() if entry.strip()]
    assert len(requirements) > 50
    unpinned = [
        entry for entry in requirements if not re.match(r"[a-z0-9.-]+==\S+ .*--hash=sha256:[0-9a-f]{64}", entry)
    ]
    assert not unpinned
