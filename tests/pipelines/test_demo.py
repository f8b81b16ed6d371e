"""The demo writes scikit-learn's digits, asks for two trainings on the same pictures, and replaces only its own."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from models.errors import UserError
from pipelines import demo as module
from pipelines.demo import NAMES, RUNS, demo
from pipelines.runs.spec import TrainSpec
from pipelines.system.progress import Silent

DIGITS = load_digits()


class Asked(NamedTuple):
    """A training that the demo asks for."""

    spec: TrainSpec
    force: bool


def make_run(folder: Path) -> None:
    """Write what proves a run, and nothing else of it."""
    folder.mkdir(parents=True)
    (folder / "run.json").write_text(json.dumps({"class_names": [], "backbone": {}, "spec": {}}))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """What is asked to be trained; nothing is."""
    asked: list[Asked] = []

    def train(spec: TrainSpec, *, force: bool, **options: Any) -> SimpleNamespace:
        asked.append(Asked(spec, force))
        return SimpleNamespace(seconds={"head": 1.0})

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: SimpleNamespace(report=None))
    monkeypatch.setattr(module, "predict", lambda *args, **options: ((), iter([None])))
    monkeypatch.setattr(module, "export", lambda *args, **options: [None])
    return asked


def count(folder: Path) -> int:
    return len(list(folder.glob("*.png")))


def test_every_digit_is_written_once(trainings: list[Asked], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    digits = tmp_path / "demo" / "digits"
    per_class = np.bincount(DIGITS.target)
    for digit, name in enumerate(NAMES[:5]):
        assert count(digits / "zero-to-four" / name) == per_class[digit]
    for digit, name in enumerate(NAMES[5:], 5):
        parts = [count(digits / "five-to-nine" / part / name) for part in ("train", "validation", "test")]
        assert parts == [15, 5, per_class[digit] - 20]


def test_a_picture_shows_its_digit(trainings: list[Asked], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    for file in sorted(tmp_path.rglob("*.png"))[::300]:
        number = int(file.stem.removeprefix("digit-"))
        assert file.parent.name == NAMES[DIGITS.target[number]]
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == ("L", (32, 32))
            small = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), float)
        # Ink is from 0 to 16 in the data set and from 0 to 255 in a picture.
        assert np.corrcoef(small.ravel(), DIGITS.images[number].ravel())[0, 1] > 0.95


def test_both_of_the_second_trainings_get_the_same_pictures(trainings: list[Asked], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    first, head, scratch = (asked.spec for asked in trainings)
    assert head.data.path == scratch.data.path != first.data.path
    assert head.network.backbone == first.out  # the frozen base is the run on the first digits
    assert (scratch.network.backbone, scratch.network.weights) == ("small_cnn", "none")


def test_an_earlier_demo_is_replaced_run_by_run(trainings: list[Asked], tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    assert [asked.force for asked in trainings] == [False] * 3
    with pytest.raises(UserError, match="is there already"):
        demo(str(out), force=False, reporter=Silent())
    times = {file: file.stat().st_mtime_ns for file in out.rglob("*.png")}
    (out / "digits" / ".DS_Store").touch()
    damaged, missing = sorted(times)[:2]
    damaged.write_bytes(damaged.read_bytes()[:50])
    missing.unlink()
    demo(str(out), force=True, reporter=Silent())
    # `train --force` replaces a run when the new one is complete: the demo itself deletes none.
    assert [asked.force for asked in trainings] == [False] * 3 + [True] * 3
    for file in times.keys() - {damaged, missing}:
        assert file.stat().st_mtime_ns == times[file]
    for file in (damaged, missing):
        with Image.open(file) as picture:
            picture.load()


def test_a_demo_that_fails_leaves_the_earlier_one(
    trainings: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    for name in RUNS:
        make_run(out / "runs" / name)
    (out / "exported" / "1").mkdir(parents=True)
    (out / "exported" / "1" / "saved_model.pb").touch()
    before = sorted(out.rglob("*"))

    def fail(spec: TrainSpec, **_: object) -> None:
        raise UserError("no memory")

    monkeypatch.setattr(module, "train", fail)
    with pytest.raises(UserError, match="no memory"):
        demo(str(out), force=True, reporter=Silent())
    assert sorted(out.rglob("*")) == before


def test_the_export_of_an_earlier_demo_goes_when_the_new_one_is_there(
    trainings: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "demo"

    def export(run: str, folder: str, **_: object) -> list[None]:
        (Path(folder) / "7").mkdir(parents=True)
        return [None]

    (out / "exported" / "6" / "variables").mkdir(parents=True)
    (out / "exported" / "6" / "saved_model.pb").touch()
    monkeypatch.setattr(module, "export", export)
    demo(str(out), force=True, reporter=Silent())
    assert [path.name for path in (out / "exported").iterdir()] == ["7"]


@pytest.mark.parametrize(
    "name",
    [
        "notes.txt",
        "digits/zero-to-four/zero/mine.png",
        "digits/six/digit-0006.txt",
        "runs/photos/run.json",
        "runs/five-to-nine/notes.txt",
        "runs/zero-to-four/model.keras",  # a model alone proves no run
        "exported/1/assets/labels.txt",
        "exported/notes.txt",
    ],
)
def test_files_of_others_keep_a_demo_from_being_replaced(trainings: list[Asked], tmp_path: Path, name: str) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    make_run(out / "runs" / "five-to-nine")
    file = out / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("mine")
    with pytest.raises(UserError, match="files that the demo did not write"):
        demo(str(out), force=True, reporter=Silent())
    assert file.read_text() == "mine"
    assert len(trainings) == 3


def test_a_link_to_images_is_not_written_through(trainings: list[Asked], tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (tmp_path / "demo").mkdir()
    (tmp_path / "demo" / "digits").symlink_to(elsewhere)
    with pytest.raises(UserError, match="files that the demo did not write: `digits`"):
        demo(str(tmp_path / "demo"), force=True, reporter=Silent())
    assert not any(elsewhere.iterdir())


@pytest.mark.parametrize("out", ["", "file", "file/demo", "link"])
def test_a_place_where_no_folder_can_be_is_refused(trainings: list[Asked], tmp_path: Path, out: str) -> None:
    (tmp_path / "file").write_text("mine")
    (tmp_path / "link").symlink_to(tmp_path / "nowhere")
    with pytest.raises(UserError):
        demo(str(tmp_path / out) if out else "", force=True, reporter=Silent())
    assert (tmp_path / "file").read_text() == "mine"
