"""With folds, each member is trained on all images but those of its fold, and judged on those."""

from __future__ import annotations

from dataclasses import fields
from pathlib import Path
from typing import Any, cast

import numpy as np
import pytest

from pipelines.data.folds import divide_folds
from pipelines.features.cached import Features
from pipelines.features.extract import Extracted
from pipelines.features.shards import ShardStore, key
from pipelines.members.shared_features import SharedFeatures
from pipelines.runs.examples import Dataset, Example, Split

NUM_TRAIN, NUM_VALIDATION = 12, 6


def example(number: int) -> Example:
    split: Split = "train" if number < NUM_TRAIN else "validation"
    return Example(path=f"{number}.jpg", label=number % 2, split=split, sha256=f"{number:064x}", source="")


def features_of(folder: Path, examples: list[Example]) -> Features:
    """Features whose only number is the number of the image."""
    store = ShardStore(folder)
    rows = np.asarray([[int(one.sha256, 16)] for one in examples], np.float16)
    store.add([key(one.sha256, 0) for one in examples], rows)
    return Features((store, store), examples, 1)


def images(features: Features) -> list[int]:
    return [int(row[0]) for row in features.rows(np.arange(len(features)))]


def shared(parts: dict[str, Features], folds: tuple[Dataset, ...]) -> SharedFeatures:
    unused: dict[str, Any] = {field.name: None for field in fields(Extracted) if field.name != "parts"}
    nothing = cast(Any, None)  # of_fold reads neither the backbone nor its file
    return SharedFeatures(
        backbone=nothing,
        model=nothing,
        file="",
        extracted=Extracted(parts=parts, **unused),
        folds=folds,
        widths={"last": 1},
        num_last=1,
    )


def parts_of_fold(features: SharedFeatures, fold: int | None) -> tuple[Features, Features]:
    of_head = features.of_fold(fold)
    return of_head.train, of_head.validation


def test_each_image_is_held_out_by_one_fold_and_trained_on_by_the_others(tmp_path: Path) -> None:
    examples = [example(number) for number in range(NUM_TRAIN + NUM_VALIDATION)]
    given: dict[str, Any] = {field.name: () for field in fields(Dataset)}
    given |= {"class_names": ("cat", "dog"), "examples": tuple(examples)}
    folds = divide_folds(Dataset(**given), 3, seed=0)
    features = shared({"train": features_of(tmp_path, examples)}, folds)
    held_out: list[int] = []
    for fold in range(3):
        inside, outside = parts_of_fold(features, fold)
        assert sorted(images(inside) + images(outside)) == list(range(18))
        assert outside.labels.tolist() == [number % 2 for number in images(outside)]
        held_out += images(outside)
    assert sorted(held_out) == list(range(18))


def test_without_folds_the_parts_stay_as_they_are(tmp_path: Path) -> None:
    examples = [example(number) for number in range(NUM_TRAIN + NUM_VALIDATION)]
    parts = {
        "train": features_of(tmp_path / "train", examples[:NUM_TRAIN]),
        "validation": features_of(tmp_path / "validation", examples[NUM_TRAIN:]),
    }
    inside, outside = parts_of_fold(shared(parts, ()), None)
    assert (images(inside), images(outside)) == (list(range(12)), list(range(12, 18)))


def test_the_features_of_the_last_fold_are_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    examples = [example(number) for number in range(4)]
    parts = {"train": features_of(tmp_path, examples), "validation": features_of(tmp_path, examples)}
    features = shared(parts, ())
    first = features.of_fold(None)
    assert features.of_fold(None) is first
