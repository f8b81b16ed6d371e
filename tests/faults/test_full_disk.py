"""A disk that becomes full at any writer: one error that says so, and the same command goes on once there is room."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import draw_folders
from tests.faults.place import Place, outcome

HEAD = ("train", "data", "--backbone", "base", "--epochs", "3", "--heads", "2", "--out", "disk/run")
FINE_TUNED = (*HEAD, "--fine-tune", "1")
MEMBERS = (*HEAD, "--folds", "2")
EXPORT = ("export", "base", "--out", "disk/exported")
KILOBYTES = 1024
# What each command gives where there is room, once it was asked for.
undisturbed: dict[tuple[str, ...], Any] = {}


class Disk:
    """A file system of a given size, mounted in a folder."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def mount(self, kilobytes: int) -> None:
        """Mount it; skips the test where that takes rights that are not here."""
        self.folder.mkdir(exist_ok=True)
        options = ["-o", f"size={kilobytes}k", "tmpfs", str(self.folder)]
        finished = subprocess.run(["mount", "-t", "tmpfs", *options], capture_output=True, check=False)
        if finished.returncode:
            pytest.skip(f"no small disk can be mounted here: {finished.stderr.decode().strip()}")

    def grow(self) -> None:
        """Make room."""
        subprocess.run(["mount", "-o", "remount,size=400m", str(self.folder)], check=True)

    def unmount(self) -> None:
        """Remove it."""
        subprocess.run(["umount", "-l", str(self.folder)], check=False, capture_output=True)


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and a run from scratch."""
    if shutil.which("mount") is None:
        pytest.skip("no `mount`")
    place = Place(tmp_path_factory.mktemp("full") / "origin")
    draw_folders(place.folder / "data", {"": 12}, seed=2)
    code, _, err = place.run(
        "train", "data", "--backbone", "small_cnn", "--weights", "none", "--epochs", "2", "--out", "base"
    )
    assert code == 0, err
    shutil.rmtree(place.folder / "cache")
    return place.folder


@pytest.fixture
def disk(tmp_path: Path) -> Iterator[Disk]:
    """A disk that is not mounted yet."""
    small = Disk(tmp_path / "place" / "disk")
    yield small
    small.unmount()


def place_with(disk: Disk, origin: Path, *, kilobytes: int, variables: dict[str, str]) -> Place:
    """A copy of that folder with a small disk in it."""
    shutil.copytree(origin, disk.folder.parent, symlinks=True)
    disk.mount(kilobytes)
    return Place(disk.folder.parent, variables={name: str(disk.folder / path) for name, path in variables.items()})


def result_of(place: Place, command: tuple[str, ...]) -> Any:
    code, _, err = place.run(*command)
    assert code == 0, err
    target = place.folder / command[command.index("--out") + 1]
    if command[0] == "train":
        return outcome(target)
    return sorted(str(path.relative_to(target)) for path in target.rglob("*"))


def check(disk: Disk, origin: Path, command: tuple[str, ...], *, kilobytes: int, variables: dict[str, str]) -> bool:
    """Run a command on a disk that is too small, then with room; return whether the disk was full before."""
    place = place_with(disk, origin, kilobytes=kilobytes, variables=variables)
    code, _, err = place.run(*command)
    assert code in (0, 1), err
    if code == 1:
        assert re.findall("^error: (no space left on the disk|.*)", err, re.MULTILINE) == [
            "no space left on the disk"
        ], err
        assert re.findall("^hint: (free some space|.*)", err, re.MULTILINE) == ["free some space"], err
        assert "Traceback" not in err
    else:
        shutil.rmtree(disk.folder / "run", ignore_errors=True)
        shutil.rmtree(disk.folder / "exported", ignore_errors=True)
    disk.grow()
    after = result_of(place, command)
    assert place.hidden() == []
    if command not in undisturbed:
        disk.unmount()
        shutil.rmtree(disk.folder.parent)
        undisturbed[command] = result_of(place_with(disk, origin, kilobytes=400 * KILOBYTES, variables={}), command)
    assert after == undisturbed[command]
    return code == 1


@pytest.mark.parametrize(
    ("command", "kilobytes", "variables"),
    [
        (HEAD, 4, {}),
        (HEAD, 48, {}),
        (HEAD, 16, {"HEADSTART_CACHE": "cache"}),
        (EXPORT, 64, {}),
    ],
    ids=["the request", "the model", "the cache", "the export"],
)
def test_a_full_disk(
    command: tuple[str, ...], kilobytes: int, variables: dict[str, str], disk: Disk, origin: Path
) -> None:
    assert check(disk, origin, command, kilobytes=kilobytes, variables=variables)


@pytest.mark.slow
@pytest.mark.parametrize("command", [HEAD, FINE_TUNED, MEMBERS, EXPORT], ids=["head", "fine-tune", "members", "export"])
@pytest.mark.parametrize("variables", [{}, {"HEADSTART_CACHE": "cache"}, {"TMPDIR": ""}], ids=["run", "cache", "tmp"])
@pytest.mark.parametrize("kilobytes", [8, 32, 96, 256])
def test_a_disk_that_is_full_anywhere(
    command: tuple[str, ...], kilobytes: int, variables: dict[str, str], disk: Disk, origin: Path
) -> None:
    check(disk, origin, command, kilobytes=kilobytes, variables=variables)
