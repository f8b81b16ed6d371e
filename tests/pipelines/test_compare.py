"""Comparing runs: images are matched by content, classes by name; runs without common images have no difference."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pytest

from models.errors import UserError
from pipelines.compare import compare, trained_layers
from pipelines.evaluation.metrics import report
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.runs.examples import Example, Split
from pipelines.runs.folder import finish_run
from pipelines.runs.layout import HEAD_FILE, MODEL_FILE
from pipelines.runs.manifest import BackboneRecord, StageRecord
from pipelines.runs.models import save_model
from pipelines.runs.read_manifest import read_manifest
from tests.conftest import Result
from tests.pipelines.manifests import manifest_with, stage_with

NAMES = ("cat", "dog", "owl")


def make_run(
    folder: Path,
    correct: Sequence[bool],
    *,
    images: Sequence[int] | None = None,
    names: tuple[str, ...] = NAMES,
    part: Split = "test",
    has_model: bool = False,
    **fields: Any,  # of Manifest, of as many types
) -> str:
    """A run that predicts image `i`, of class i % 3, correctly where `correct` says so; its classes are in this order.

    Args:
        folder: of the run.
        correct: (images,) whether its prediction is correct, with probability 0.8 of the predicted class.
        images: their numbers; 0, 1, 2 ... when None.
        names: of the classes, in the order of the outputs.
        part: of the images.
        has_model: whether it has a model that can be loaded.
        fields: of its manifest.
    """
    folder.mkdir(parents=True)
    numbers = list(images or range(len(correct)))
    labels = np.array([names.index(NAMES[number % 3]) for number in numbers], np.int32)
    probabilities = np.full((len(numbers), 3), 0.1, np.float32)
    for row, (label, is_correct) in enumerate(zip(labels, correct, strict=True)):
        probabilities[row, label if is_correct else (label + 1) % 3] = 0.8
    examples = [
        Example(path=f"/{number}", label=int(label), split=part, sha256=f"{number:064x}", source=f"/{number}")
        for number, label in zip(numbers, labels, strict=True)
    ]
    save_predictions(folder, {part: (probabilities, labels)}, {part: examples})
    if has_model:
        save_model(small_model(), folder)
    else:
        (folder / MODEL_FILE).write_bytes(b"x" * 1000)
    values: dict[str, Any] = {  # as `fields`
        "class_names": names,
        "image_size": 4,
        "metrics": {part: report(probabilities, labels, names)},
        "stages": (stage_with(name="head", unfreeze="none"),),
        "seconds": {"train": 2.0, "save": 1.0},
    }
    finish_run(folder, manifest_with(**{**values, **fields}))
    return str(folder)


def small_model() -> keras.Model:
    """Pixels (batch, 4, 4, 3) -> probabilities of three classes."""
    pixels = keras.Input((4, 4, 3))
    dense = keras.layers.Dense(3, activation="softmax")(keras.layers.Flatten()(pixels))
    return keras.Model(pixels, dense)


def test_a_difference_is_paired_by_content_and_by_name(tmp_path: Path) -> None:
    correct = [number % 2 == 0 for number in range(30)]
    better = [True] * 20 + correct[20:]
    order = list(reversed(range(30)))
    first = make_run(tmp_path / "a", correct)
    second = make_run(tmp_path / "b", [better[number] for number in order], images=order, names=("owl", "cat", "dog"))
    one, two = compare([first, second], speed=False)
    assert one.accuracy_difference is None
    assert two.accuracy_difference is not None and two.log_loss_difference is not None
    assert two.accuracy_difference.value == pytest.approx(10 / 30)
    assert two.log_loss_difference.value == pytest.approx(-(10 / 30) * np.log(8), rel=1e-4)
    assert two.accuracy_difference.interval[0] > 0
    assert two.accuracy_difference.means == pytest.approx((25 / 30, 15 / 30))
    assert (two.accuracy_difference.first, two.accuracy_difference.second) == (second, first)
    assert (one.seconds, one.size, one.parameters, one.images) == (3.0, 1000, 7, 30)


@pytest.mark.parametrize(
    "other", [{"images": range(1, 31)}, {"names": ("cat", "dog", "emu")}], ids=["images", "classes"]
)
def test_runs_with_other_images_or_classes_have_no_difference(
    tmp_path: Path,
    other: dict[str, Any],  # numbers or names
) -> None:
    first = make_run(tmp_path / "a", [True] * 30)
    if "names" in other:
        second = make_run(tmp_path / "b", [True] * 30)
        finish_run(Path(second), dataclasses.replace(read_manifest(second), class_names=other["names"]))
    else:
        second = make_run(tmp_path / "b", [True] * 30, **other)
    assert compare([first, second], speed=False)[1].accuracy_difference is None


def test_without_a_test_part_somewhere_all_are_compared_on_validation(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", [True, False, True], part="validation")
    second = make_run(tmp_path / "b", [True, True, True], part="validation")
    assert {row.part for row in compare([first, second], speed=False)} == {"validation"}
    third = make_run(tmp_path / "c", [True, True, True])
    with pytest.raises(UserError, match=r"`.*c` has no scores on validation images"):
        compare([first, third], speed=False)


def test_speed_and_parameters_are_those_of_the_saved_model(tmp_path: Path) -> None:
    (row,) = compare([make_run(tmp_path / "a", [True] * 6, has_model=True)])
    assert row.parameters == 48 * 3 + 3
    assert row.images_per_second is not None and row.images_per_second > 32


def test_a_folder_without_a_run_is_an_error_before_a_model_is_loaded(tmp_path: Path) -> None:
    first = make_run(tmp_path / "a", [True] * 6)
    with pytest.raises(UserError, match="does not exist"):
        compare([first, str(tmp_path / "none")])


def fine_tuning(unfreeze: str, trained: tuple[str, ...], *, kept: bool) -> StageRecord:
    return stage_with(name="fine-tune", unfreeze=unfreeze, trained=trained, kept=kept)


HEAD = stage_with(name="head", unfreeze="none")


@pytest.mark.parametrize(
    ("stages", "words"),
    [
        ([HEAD], "head"),
        ([HEAD, fine_tuning("2", ("a", "b"), kept=True)], "head + 2 blocks"),
        ([HEAD, fine_tuning("1", ("b",), kept=True)], "head + 1 block"),
        ([HEAD, fine_tuning("2", ("a", "b"), kept=False)], "head"),
        ([HEAD, fine_tuning("all", ("a",), kept=True)], "all"),
        ([HEAD, fine_tuning("all", ("a",), kept=False)], "head"),
        ([stage_with(name="from scratch", unfreeze="all")], "all"),
    ],
)
def test_layers_of_a_model_that_was_not_kept_are_not_trained(
    tmp_path: Path, stages: list[StageRecord], words: str
) -> None:
    manifest = read_manifest(make_run(tmp_path / "a", [True] * 3, stages=tuple(stages)))
    assert trained_layers(manifest) == words


def make_member(ensemble: Path, name: str, correct: Sequence[bool]) -> str:
    """A member of an ensemble: a head of its own, and a backbone that it shares with the other members."""
    folder = ensemble / "members" / name
    shared = BackboneRecord(name="net", weights="none", parameters=7, file="../../backbones/net.keras")
    (ensemble / "backbones").mkdir(parents=True, exist_ok=True)
    pixels, features = keras.Input((4, 4, 3)), keras.Input((48,))
    backbone = keras.Model(pixels, keras.layers.Flatten()(pixels))
    head = keras.Model(features, keras.layers.Dense(3, activation="softmax")(features))
    run = make_run(folder, correct, backbone=shared)
    (folder / MODEL_FILE).unlink()
    backbone.save(ensemble / "backbones" / "net.keras")
    head.save(folder / HEAD_FILE)
    return run


def test_a_member_of_an_ensemble_is_compared_as_a_run(tmp_path: Path) -> None:
    first = make_member(tmp_path / "ensemble", "one", [True, False] * 6)
    second = make_member(tmp_path / "ensemble", "two", [True, True] * 6)
    one, two = compare([first, second])
    files = (tmp_path / "ensemble" / "backbones" / "net.keras", Path(first) / HEAD_FILE)
    assert one.size == sum(file.stat().st_size for file in files)
    assert one.parameters == two.parameters == 48 * 3 + 3
    assert one.images_per_second is not None and one.images_per_second > 32
    assert two.accuracy_difference is not None
    assert two.accuracy_difference.value == pytest.approx(0.5)


def test_the_command_compares_members_and_prints_differences_as_json(
    tmp_path: Path, headstart: Callable[..., Result]
) -> None:
    first = make_member(tmp_path / "ensemble", "one", [True, False] * 6)
    second = make_member(tmp_path / "ensemble", "two", [True, True] * 6)
    printed = headstart("compare", first, second, "--no-speed", "--json")
    assert printed.code == 0
    one, two = json.loads(printed.out)
    assert (one["accuracy_difference"], one["log_loss_difference"]) == (None, None)
    assert two["accuracy_difference"]["value"] == pytest.approx(0.5)
    assert {"value", "interval", "means", "score", "first", "second", "part", "images"} == two[
        "log_loss_difference"
    ].keys()
    assert headstart("compare", first, second, "--no-speed").code == 0
