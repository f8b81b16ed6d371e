"""The demo writes scikit-learn's digits, asks for two trainings on the same pictures, and replaces only its own."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from PIL import Image
from sklearn.datasets import load_digits

from models.errors import UserError
from pipelines import demo as module
from pipelines.demo import NAMES, demo
from pipelines.runs.spec import TrainSpec
from pipelines.system.progress import Silent

DIGITS = load_digits()


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> list[TrainSpec]:
    """What is asked to be trained; nothing is."""
    asked: list[TrainSpec] = []

    def train(spec: TrainSpec, **options: Any) -> SimpleNamespace:
        asked.append(spec)
        return SimpleNamespace(seconds={"head": 1.0})

    monkeypatch.setattr(module, "train", train)
    monkeypatch.setattr(module, "evaluate", lambda *args, **options: SimpleNamespace(report=None))
    monkeypatch.setattr(module, "predict", lambda *args, **options: ((), iter([None])))
    monkeypatch.setattr(module, "export", lambda *args, **options: [None])
    return asked


def count(folder: Path) -> int:
    return len(list(folder.glob("*.png")))


def test_every_digit_is_written_once(trainings: list[TrainSpec], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    digits = tmp_path / "demo" / "digits"
    per_class = np.bincount(DIGITS.target)
    for digit, name in enumerate(NAMES[:5]):
        assert count(digits / "zero-to-four" / name) == per_class[digit]
    for digit, name in enumerate(NAMES[5:], 5):
        parts = [count(digits / "five-to-nine" / part / name) for part in ("train", "validation", "test")]
        assert parts == [15, 5, per_class[digit] - 20]


def test_a_picture_shows_its_digit(trainings: list[TrainSpec], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    for file in sorted(tmp_path.rglob("*.png"))[::300]:
        number = int(file.stem.removeprefix("digit-"))
        assert file.parent.name == NAMES[DIGITS.target[number]]
        with Image.open(file) as picture:
            assert (picture.mode, picture.size) == ("L", (32, 32))
            small = np.asarray(picture.resize((8, 8), Image.Resampling.BOX), float)
        # Ink is from 0 to 16 in the data set and from 0 to 255 in a picture.
        assert np.corrcoef(small.ravel(), DIGITS.images[number].ravel())[0, 1] > 0.95


def test_both_of_the_second_trainings_get_the_same_pictures(trainings: list[TrainSpec], tmp_path: Path) -> None:
    demo(str(tmp_path / "demo"), force=False, reporter=Silent())
    first, head, scratch = trainings
    assert head.data.path == scratch.data.path != first.data.path
    assert head.network.backbone == first.out  # the frozen base is the run on the first digits
    assert (scratch.network.backbone, scratch.network.weights) == ("small_cnn", "none")


def test_only_an_earlier_demo_is_replaced(trainings: list[TrainSpec], tmp_path: Path) -> None:
    out = tmp_path / "demo"
    demo(str(out), force=False, reporter=Silent())
    with pytest.raises(UserError, match="is there already"):
        demo(str(out), force=False, reporter=Silent())
    demo(str(out), force=True, reporter=Silent())
    other = tmp_path / "thesis"
    other.mkdir()
    (other / "chapter.tex").write_text("one")
    with pytest.raises(UserError, match="is there already"):
        demo(str(other), force=True, reporter=Silent())
    assert (other / "chapter.tex").read_text() == "one"
    (out / "notes.txt").write_text("mine")
    with pytest.raises(UserError, match="is there already"):
        demo(str(out), force=True, reporter=Silent())
    assert (out / "notes.txt").read_text() == "mine"
