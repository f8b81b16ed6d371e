"""Commands that are killed: the same command again gives what an undisturbed one gives, and nothing is left over."""

from __future__ import annotations

import json
import random
import shutil
import signal
import sys
import time
from pathlib import Path
from typing import Any, NamedTuple

import pytest

from pipelines.runs.layout import is_run
from tests.conftest import draw_folders
from tests.faults.place import Place, outcome, survivors

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="processes are counted in /proc")

HEAD = ("train", "data", "--backbone", "base", "--epochs", "3", "--heads", "2", "--out", "run")
FINE_TUNED = (*HEAD, "--fine-tune", "1")
MEMBERS = (*HEAD, "--folds", "2")
JOINED = ("ensemble", "base", "other", "--out", "run")
EXPORT = ("export", "base", "--out", "exported")
EVALUATE = ("evaluate", "on_base", "more", "--json")
COMMANDS = {
    "head": HEAD,
    "fine-tune": FINE_TUNED,
    "members": MEMBERS,
    "join": JOINED,
    "export": EXPORT,
    "evaluate": EVALUATE,
}
# Before which file operation of which command it is killed: one whose path holds this text.
BEFORE = [
    ("head", "run/state"),
    ("head", ".npy"),
    ("head", "model.keras"),
    ("head", "run.json"),
    ("fine-tune", "fine-tune.npz"),
    ("join", "model.keras"),
    ("evaluate", ".npy"),
]
# As soon as there is which file, while a second process may be at work.
WHEN = [
    ("members", "run/members/*/run.json"),
    ("members", "run/members/*/head.keras"),
    ("export", "exported/.export-*"),
]


class Undisturbed(NamedTuple):
    """What a command gives when nothing happens, and its seconds."""

    result: Any
    seconds: float


@pytest.fixture(scope="module")
def origin(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with pictures and two runs from scratch, and one on a frozen base."""
    place = Place(tmp_path_factory.mktemp("kills") / "origin")
    draw_folders(place.folder / "data", {"": 12}, seed=2)
    draw_folders(place.folder / "more", {"": 6}, seed=3)
    small = ("--backbone", "small_cnn", "--weights", "none", "--epochs", "2")
    for command in (
        ("train", "data", *small, "--out", "base"),
        ("train", "data", *small, "--seed", "5", "--out", "other"),
        (*HEAD[:-1], "on_base"),
    ):
        code, _, err = place.run(*command)
        assert code == 0, err
    shutil.rmtree(place.folder / "cache")
    return place.folder


@pytest.fixture(scope="module")
def undisturbed() -> dict[str, Undisturbed]:
    """What each command gives when nothing happens, filled in when it is asked for."""
    return {}


@pytest.fixture
def place(origin: Path, tmp_path: Path) -> Place:
    """A copy of that folder for one test."""
    folder = tmp_path / "place"
    shutil.copytree(origin, folder, symlinks=True)
    return Place(folder)


def result_of(place: Place, name: str) -> Any:
    """Run a command to its end; what it gives, without what differs from time to time.

    A run that is complete stays, and the command says so; an export that is complete gets a second version beside it.
    """
    is_complete = is_run(place.folder / "run")
    code, out, err = place.run(*COMMANDS[name])
    assert code == (1 if is_complete else 0), err
    assert is_complete == ("`run` holds a complete run" in err)
    if name == "evaluate":
        return json.loads(out)
    if name == "export":
        version = place.folder / "exported" / "1"
        return sorted(str(path.relative_to(version)) for path in version.rglob("*"))
    return outcome(place.folder / "run")


def expected(undisturbed: dict[str, Undisturbed], origin: Path, tmp_path: Path, name: str) -> Undisturbed:
    """What the command gives in a place where nothing happens to it."""
    if name not in undisturbed:
        folder = tmp_path / f"undisturbed {name}"
        shutil.copytree(origin, folder, symlinks=True)
        began = time.monotonic()
        result = result_of(Place(folder), name)
        undisturbed[name] = Undisturbed(result, time.monotonic() - began)
    return undisturbed[name]


def assert_made_good(place: Place, name: str, session: int, wanted: Any) -> None:
    assert survivors(session) == []
    assert result_of(place, name) == wanted
    assert place.hidden() == []


@pytest.mark.parametrize(("name", "text"), BEFORE)
def test_a_command_that_is_killed_before_a_file_is_in_place(
    name: str, text: str, place: Place, origin: Path, undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    wanted = expected(undisturbed, origin, tmp_path, name).result
    process = place.start(text, *COMMANDS[name], module="tests.faults.deadly")
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    assert_made_good(place, name, process.pid, wanted)


@pytest.mark.parametrize(("name", "pattern"), WHEN)
def test_a_command_that_is_killed_as_soon_as_a_file_is_there(
    name: str, pattern: str, place: Place, origin: Path, undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    wanted = expected(undisturbed, origin, tmp_path, name).result
    process = place.kill_when(pattern, *COMMANDS[name])
    assert_made_good(place, name, process.pid, wanted)


@pytest.mark.slow
@pytest.mark.parametrize("number", range(60))
def test_a_command_that_is_killed_at_a_random_moment(
    number: int, place: Place, origin: Path, undisturbed: dict[str, Undisturbed], tmp_path: Path
) -> None:
    names = tuple(COMMANDS)
    name = names[number % len(names)]
    wanted, seconds = expected(undisturbed, origin, tmp_path, name)
    process = place.start(*COMMANDS[name])
    time.sleep(random.Random(number).random() * seconds)
    process.kill()
    process.communicate()
    assert_made_good(place, name, process.pid, wanted)
