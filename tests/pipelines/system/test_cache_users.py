"""A process that uses the cache is known to others until it ends, whatever becomes of the folder."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.system.cache_users import USERS_FILE, use_cache, used_alone

ROOT = Path(__file__).resolve().parents[3]
ALONE = "from pipelines.system.cache_users import used_alone\nwith used_alone() as is_alone: print(is_alone)"


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A cache that is not there yet."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


def another_is_alone() -> bool:
    return subprocess.check_output([sys.executable, "-c", ALONE], cwd=ROOT, text=True) == "True\n"


def test_a_user_is_seen_by_others_and_not_by_itself(folder: Path) -> None:
    assert another_is_alone()
    use_cache()
    use_cache()
    assert not another_is_alone()
    with used_alone() as is_alone:
        assert is_alone
    assert not another_is_alone()  # it is a user again


def test_a_user_of_a_folder_that_was_deleted_uses_the_next_one(folder: Path) -> None:
    use_cache()
    shutil.rmtree(folder)
    assert another_is_alone()
    use_cache()
    assert (folder / USERS_FILE).is_file()
    assert not another_is_alone()
