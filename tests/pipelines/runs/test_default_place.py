"""The folder of a training without --out: a new one each time, but an interrupted training of the same is resumed."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from pipelines.runs.default_place import choose_place
from pipelines.runs.folder import open_run
from pipelines.runs.manifest import RunRequest
from pipelines.system.lock import unlock_folder
from tests.specs import train_spec


def request_in(folder: str, *, epochs: int | None = None) -> RunRequest:
    return RunRequest(train=train_spec(data="photos", out=folder, epochs=epochs))


@pytest.fixture(autouse=True)
def _in_an_empty_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def interrupted(folder: str) -> None:
    """An unfinished training whose process has ended."""
    place, _ = open_run(folder, request_in(folder), force=False)
    unlock_folder(place)


@pytest.mark.parametrize(
    ("data", "place"),
    [
        ("photos", "runs/photos-1"),
        ("my photos/", "runs/my photos-1"),
        ("../else/where/", "runs/where-1"),
        ("tfds:mnist", "runs/mnist-1"),
        ("tfds:plant/leaves:1.0.0", "runs/plant-leaves-1"),
        ("/", "runs/run-1"),
        (".", "runs/here-1"),
    ],
)
def test_it_is_called_after_the_data(data: str, place: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    assert choose_place(data, request_in) == place
    assert not Path("runs").exists()


def test_a_list_gives_its_name_without_the_ending(tmp_path: Path) -> None:
    (tmp_path / "birds.v2.csv").touch()
    assert choose_place("birds.v2.csv", request_in) == "runs/birds.v2-1"


def test_nothing_that_is_there_is_ever_used_again(tmp_path: Path) -> None:
    os.makedirs("runs/photos-2")
    os.makedirs("runs/photos-old")
    Path("runs/photos-10").touch()
    assert choose_place("photos", request_in) == "runs/photos-11"


def test_an_interrupted_training_of_the_same_is_resumed_and_no_other(tmp_path: Path) -> None:
    os.makedirs("runs/photos-1")
    interrupted("runs/photos-2")
    assert choose_place("photos", request_in) == "runs/photos-2"
    assert choose_place("photos", lambda folder: request_in(folder, epochs=3)) == "runs/photos-3"
    assert choose_place("photos", request_in, begins_anew=True) == "runs/photos-3"
    assert choose_place("else", request_in) == "runs/else-1"


def test_a_training_that_still_runs_is_left_alone() -> None:
    place, _ = open_run("runs/photos-1", request_in("runs/photos-1"), force=False)
    assert choose_place("photos", request_in) == "runs/photos-2"
    unlock_folder(place)


def test_a_complete_run_is_left_alone() -> None:
    interrupted("runs/photos-1")
    Path("runs/photos-1/run.json").write_text("{}")
    assert choose_place("photos", request_in) == "runs/photos-2"
