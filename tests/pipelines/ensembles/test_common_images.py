"""Weights are fitted on images that no run was trained on; images that decided nothing test the ensemble."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from models.errors import UserError
from pipelines.ensembles.common_images import TrainedRun, common_images
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.runs.examples import Example, Split
from tests.pipelines.manifests import manifest_with

CLASSES = ("cat", "dog")
PARTS: dict[str, Split] = {"r": "train", "v": "validation", "t": "test"}


def example(name: str, part: Split, label: int = 0) -> Example:
    """An image whose path is its name; its hash is the name backwards, which sorts otherwise."""
    return Example(path=name, label=label, split=part, sha256=name[::-1], source=name)


def run_of(parts: str, folder: str = "nowhere", class_names: tuple[str, ...] = CLASSES) -> TrainedRun:
    """A run on images a9, b8, c7 ... whose parts are given by a letter each; `-` for an image that it lacks."""
    names = [f"{chr(97 + place)}{9 - place}" for place in range(len(parts))]
    examples = tuple(example(name, PARTS[part]) for name, part in zip(names, parts, strict=True) if part != "-")
    return TrainedRun(run=folder, name=folder, manifest=manifest_with(class_names=class_names), examples=examples)


def letters(examples: Sequence[Example]) -> str:
    return "".join(example.path[0] for example in examples)


def test_only_what_validates_every_run_is_fitted_and_only_what_tests_every_run_is_tested() -> None:
    runs = [run_of("vvvtttrr--"), run_of("vtrttvrvvt")]
    images = common_images(runs, CLASSES)
    assert letters(images.fitted) == "a"
    assert letters(images.test) == "de"
    assert letters(images.all) == "abcdefghij"
    assert images.class_names == CLASSES


def test_an_image_has_the_part_nearest_to_training_that_any_run_gave_it() -> None:
    runs = [run_of("vvvtttrr--"), run_of("vtrttvrvvt")]
    assert [example.split for example in common_images(runs, CLASSES).all] == [
        "validation",
        "validation",
        "train",
        "test",
        "test",
        "validation",
        "train",
        "train",
        "validation",
        "test",
    ]


def test_labels_index_the_classes_of_the_ensemble() -> None:
    one, other = (
        TrainedRun(
            run="nowhere",
            name="run",
            manifest=manifest_with(class_names=class_names),
            examples=tuple(example(name, "validation", class_names.index(kind)) for name, kind in kinds),
        )
        for class_names, kinds in [
            (("dog", "cat"), [("x", "cat"), ("y", "dog")]),
            (("dog", "emu", "cat"), [("x", "cat"), ("y", "dog"), ("z", "emu")]),
        ]
    )
    images = common_images([one, other], ("cat", "dog", "emu"))
    assert [(image.path, image.label) for image in images.fitted] == [("x", 0), ("y", 1)]
    assert [(image.path, image.label) for image in images.all] == [("x", 0), ("y", 1), ("z", 2)]


def test_images_are_known_by_content_and_not_by_path() -> None:
    one = run_of("vt")
    moved = tuple(
        Example(path=f"/moved/{image.path}", label=0, split=image.split, sha256=image.sha256, source="")
        for image in one.examples
    )
    other = TrainedRun(run="nowhere", name="other", manifest=one.manifest, examples=moved)
    images = common_images([one, other], CLASSES)
    assert [image.path for image in images.all] == ["a9", "b8"]
    assert (letters(images.fitted), letters(images.test)) == ("a", "b")


def test_training_images_that_were_predicted_out_of_fold_can_be_fitted_on(tmp_path: Path) -> None:
    runs = [run_of("rrvt", str(tmp_path)), run_of("vvvt")]
    predicted = runs[0].examples[1:3]
    save_predictions(
        tmp_path,
        {"validation": (np.full((2, 2), 0.5, np.float32), np.zeros(2, np.int32))},
        {"validation": predicted},
    )
    assert letters(common_images(runs, CLASSES).fitted) == "bc"


@pytest.mark.parametrize("is_saved", [False, True])
def test_a_validation_image_with_a_copy_among_the_training_images_is_not_fitted_on(
    is_saved: bool, tmp_path: Path
) -> None:
    one, other = run_of("vvt", str(tmp_path)), run_of("vvt")
    copied = Example(path="z0", label=0, split="train", sha256=one.examples[0].sha256, source="z0")
    leaky = TrainedRun(run=one.run, name=one.name, manifest=one.manifest, examples=(*one.examples, copied))
    if is_saved:
        answers = (np.full((2, 2), 0.5, np.float32), np.zeros(2, np.int32))
        save_predictions(tmp_path, {"validation": answers}, {"validation": one.examples[:2]})
    assert letters(common_images([leaky, other], CLASSES).fitted) == "b"


def test_a_test_image_with_a_copy_among_the_training_images_does_not_test() -> None:
    one, other = run_of("vtt"), run_of("vtt")
    copied = Example(path="z0", label=0, split="train", sha256=one.examples[1].sha256, source="z0")
    leaky = TrainedRun(run=one.run, name=one.name, manifest=one.manifest, examples=(*one.examples, copied))
    assert letters(common_images([leaky, other], CLASSES).test) == "c"


def test_runs_without_a_common_validation_image_are_refused() -> None:
    with pytest.raises(UserError, match="no validation image in common"):
        common_images([run_of("vrt"), run_of("rvt")], CLASSES)
