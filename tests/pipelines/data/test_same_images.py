"""An interrupted training resumes on the images that it began with, and on no others."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.same_images import require_same_images, write_split_once
from pipelines.runs.examples import Dataset, Example, Split
from pipelines.runs.folder import write_split
from pipelines.runs.split_file import SPLIT_FILE

Image = tuple[str, str, Split, int]  # name, class, part, content
IMAGES: tuple[Image, ...] = (
    ("1.png", "cat", "train", 1),
    ("2.png", "dog", "train", 2),
    ("3.png", "cat", "validation", 3),
    ("4.png", "dog", "validation", 4),
)


def dataset_of(images: Sequence[Image], folder: str = "/p") -> Dataset:
    names = tuple(sorted({label for _, label, _, _ in images}))
    return Dataset(
        root=folder,
        origin="folders",
        class_names=names,
        examples=tuple(
            Example(
                path=f"{folder}/{name}",
                label=names.index(label),
                split=part,
                sha256=f"{content:064x}",
                source=f"{folder}/{name}",
            )
            for name, label, part, content in images
        ),
    )


@pytest.mark.parametrize(
    ("images", "words"),
    [
        ((*IMAGES, ("5.png", "dog", "validation", 5)), "1 image added"),
        ((*IMAGES[:1], ("1b.png", "cat", "train", 1), *IMAGES[1:]), "1 image added"),  # a copy
        (IMAGES[:3], "1 image removed or changed"),
        ((*IMAGES[:3], ("4.png", "dog", "validation", 9)), "1 image added, 1 image removed or changed"),
        (
            (*IMAGES, ("5.png", "fox", "validation", 5), ("6.png", "fox", "train", 6)),
            "2 images added, new class `fox`",
        ),
        ((("1.png", "dog", "train", 1), *IMAGES[1:]), "images have another class, part or order"),
        ((IMAGES[1], IMAGES[0], *IMAGES[2:]), "images have another class, part or order"),
        ((*IMAGES[:2], ("3.png", "cat", "test", 3), IMAGES[3]), "images have another class, part or order"),
    ],
)
def test_what_changed_is_named(tmp_path: Path, images: tuple[Image, ...], words: str) -> None:
    write_split(tmp_path, dataset_of(IMAGES))
    with pytest.raises(UserError) as caught:
        require_same_images(tmp_path, dataset_of(images))
    assert caught.value.message == f"the data changed since the training in `{tmp_path}` began: {words}"
    assert f"delete `{tmp_path}` to begin anew" in caught.value.hint


def test_what_is_resumed_is_compared_and_what_begins_is_not(tmp_path: Path) -> None:
    write_split_once(tmp_path, dataset_of(IMAGES), is_resumed=False)
    before = (tmp_path / SPLIT_FILE).read_bytes()
    with pytest.raises(UserError):
        write_split_once(tmp_path, dataset_of(IMAGES[:3]), is_resumed=True)
    assert (tmp_path / SPLIT_FILE).read_bytes() == before
    write_split_once(tmp_path, dataset_of(IMAGES[:3]), is_resumed=False)
    assert (tmp_path / SPLIT_FILE).read_bytes() != before


def test_the_same_images_elsewhere_are_the_same(tmp_path: Path) -> None:
    write_split(tmp_path, dataset_of(IMAGES))
    require_same_images(tmp_path, dataset_of(IMAGES))
    require_same_images(tmp_path, dataset_of(IMAGES, folder="/moved"))


def test_a_training_that_was_interrupted_before_its_images_were_listed_begins_with_any(tmp_path: Path) -> None:
    require_same_images(tmp_path, dataset_of(IMAGES))
