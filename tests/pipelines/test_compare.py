"""Runs side by side: pairing by content, classes by name, and what is said when runs do not fit."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.compare import compare, trained_layers
from pipelines.evaluation.metrics import report
from pipelines.evaluation.saved_predictions import read_predictions, save_predictions
from pipelines.runs.examples import Example
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import MODEL_FILE, Manifest, read_manifest
from pipelines.runs.models import save_model

NAMES = ("cat", "dog", "owl")


def make_run(
    folder: Path,
    right: Sequence[bool],
    *,
    images: Sequence[int] | None = None,
    names: tuple[str, ...] = NAMES,
    part: str = "test",
    model: bool = False,
    **fields: Any,
) -> str:
    """A run that answers image `i`, of class i % 3, rightly where `right` says so; its classes stand as in `names`."""
    folder.mkdir()
    numbers = list(images or range(len(right)))
    labels = np.array([names.index(NAMES[number % 3]) for number in numbers], np.int32)
    answers = np.full((len(numbers), 3), 0.1, np.float32)
    for row, (label, hit) in enumerate(zip(labels, right, strict=True)):
        answers[row, label if hit else (label + 1) % 3] = 0.8
    examples = [
        Example(path=f"/{number}", label=int(label), split=part, sha256=f"{number:064x}", source=f"/{number}")  # type: ignore[arg-type]
        for number, label in zip(numbers, labels, strict=True)
    ]
    save_predictions(folder, {part: (answers, labels)}, {part: examples})
    if model:
        pixels = keras.Input((4, 4, 3))
        dense = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels))
        save_model(keras.Model(pixels, dense), folder)
    else:
        (folder / MODEL_FILE).write_bytes(b"x" * 1000)
    values: dict[str, Any] = {
        "class_names": names,
        "image_size": 4,
        "backbone": {"name": "net", "parameters": 7},
        "head": {},
        "spec": {},
        "data": {},
        "metrics": {part: report(answers, labels, names).to_json()},
        "stages": ({"name": "head", "unfreeze": "none"},),
        "seconds": {"train": 2.0, "save": 1.0},
    }
    finish_run(folder, Manifest(**{**values, **fields}))
    return str(folder)


def test_a_difference_is_paired_by_content_and_by_name(tmp_path: Path) -> None:
    hits = [number % 2 == 0 for number in range(30)]
    better = [True] * 20 + hits[20:]
    order = list(reversed(range(30)))
    first = make_run(tmp_path / "a", hits)
    other = make_run(tmp_path / "b", [better[number] for number in order], images=order, names=("owl", "cat", "dog"))
    one, two = compare([first, other], speed=False)
    assert one.accuracy_difference is None
    assert two.accuracy_difference is not None and two.log_loss_difference is not None
    assert two.accuracy_difference.value == pytest.approx(10 / 30)
    assert two.log_loss_difference.value == pytest.approx(-(10 / 30) * np.log(8), rel=1e-4)
    assert two.accuracy_difference.interval[0] > 0
    assert (one.seconds, one.size, one.parameters, one.images) == (3.0, 1000, 7, 30)


@pytest.mark.parametrize(
    "other", [{"images": range(1, 31)}, {"names": ("cat", "dog", "emu")}], ids=["images", "classes"]
)
def test_runs_judged_otherwise_are_shown_without_a_difference(tmp_path: Path, other: dict[str, Any]) -> None:
    first = make_run(tmp_path / "a", [True] * 30)
    if "names" in other:
        second = make_run(tmp_path / "b", [True] * 30)
        manifest = read_manifest(second)
        import dataclasses

        finish_run(Path(second), dataclasses.replace(manifest, class_names=other["names"]))
    else:
        second = make_run(tmp_path / "b", [True] * 30, **other)
    assert compare([first, second], speed=False)[1].accuracy_difference is None


def test_without_a_test_part_somewhere_validation_judges_all(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", [True, False, True], part="validation")
    second = make_run(tmp_path / "b", [True, True, True], part="validation")
    assert {row.part for row in compare([first, second], speed=False)} == {"validation"}
    third = make_run(tmp_path / "c", [True, True, True])
    with pytest.raises(UserError, match=r"`.*c` was not judged on its validation images"):
        compare([first, third], speed=False)


def test_speed_and_parameters_are_those_of_the_saved_model(tmp_path: Path) -> None:
    (row,) = compare([make_run(tmp_path / "a", [True] * 6, model=True)])
    assert row.parameters == 48 * 3 + 3
    assert row.images_per_second is not None and row.images_per_second > 32


def test_a_folder_without_a_run_is_found_before_anything_is_loaded(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", [True] * 6)
    with pytest.raises(UserError, match="does not exist"):
        compare([first, str(tmp_path / "none")])


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([{"name": "head", "unfreeze": "none"}], "head"),
        (
            [{"name": "head", "unfreeze": "none"}, {"unfreeze": "2", "trained": ["a", "b"], "kept": True}],
            "head + 2 blocks",
        ),
        ([{"name": "head", "unfreeze": "none"}, {"unfreeze": "1", "trained": ["b"], "kept": True}], "head + 1 block"),
        ([{"name": "head", "unfreeze": "none"}, {"unfreeze": "2", "trained": ["a", "b"], "kept": False}], "head"),
        ([{"name": "head", "unfreeze": "none"}, {"unfreeze": "all", "trained": ["a"], "kept": True}], "all"),
        ([{"name": "from scratch", "unfreeze": "all"}], "all"),
    ],
)
def test_what_was_trained_is_what_was_kept(tmp_path: Path, stages: list[dict[str, Any]], words: str) -> None:
    manifest = read_manifest(make_run(tmp_path / "a", [True] * 3, stages=tuple(stages)))
    assert trained_layers(manifest) == words


def test_answers_that_were_not_kept_are_none(tmp_path: Path) -> None:
    assert read_predictions(tmp_path, "test") is None
    make_run(tmp_path / "a", [True] * 3)
    assert read_predictions(tmp_path / "a", "validation") is None
