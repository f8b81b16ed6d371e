"""Saved predictions come back exactly; a damaged file is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from models.errors import UserError
from pipelines.evaluation.predictions import Predictions
from pipelines.evaluation.saved_predictions import FILE, read_predictions, save_predictions
from pipelines.runs.examples import Example, Split


def examples(count: int, split: Split) -> list[Example]:
    return [
        Example(path=f"/{number}", label=0, split=split, sha256=f"{number:064x}", source=f"/{number}")
        for number in range(count)
    ]


def test_predictions_come_back_by_part(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    parts: dict[Split, Predictions] = {
        "validation": (generator.random((3, 2), np.float32), np.array([0, 1, 0], np.int32)),
        "test": (generator.random((2, 2), np.float32), np.array([1, 1], np.int32)),
    }
    save_predictions(tmp_path, parts, {"validation": examples(3, "validation"), "test": examples(2, "test")})
    for part, (probabilities, labels) in parts.items():
        saved = read_predictions(tmp_path, part)
        assert saved is not None
        np.testing.assert_array_equal(saved.probabilities, probabilities)
        np.testing.assert_array_equal(saved.labels, labels)
        assert [digest.decode() for digest in saved.sha256] == [f"{number:064x}" for number in range(len(labels))]
    assert read_predictions(tmp_path, "train") is None


def test_the_file_and_its_keys_keep_their_names(tmp_path: Path) -> None:
    save_predictions(
        tmp_path, {"test": (np.eye(2, dtype=np.float32), np.arange(2, dtype=np.int32))}, {"test": examples(2, "test")}
    )
    with np.load(tmp_path / "answers.npz", allow_pickle=False) as arrays:
        assert {name: arrays[name].dtype.str for name in arrays.files} == {
            "test/sha256": "|S64",
            "test/labels": "<i4",
            "test/probabilities": "<f4",
        }


def test_no_file_means_no_predictions(tmp_path: Path) -> None:
    assert read_predictions(tmp_path, "test") is None


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 no more than a beginning", b"text"])
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes) -> None:
    (tmp_path / FILE).write_bytes(content)
    with pytest.raises(UserError, match=r"answers\.npz` is damaged"):
        read_predictions(tmp_path, "test")


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("sha256", np.zeros(3, "S32"), "another type"),
        ("labels", np.array([0, 1, 0], np.float32), "another type"),
        ("probabilities", np.full((3, 2), 0.5), "another type"),
        ("labels", np.array([0, 1], np.int32), "different lengths"),
        ("probabilities", np.full((3, 2, 1), 0.5, np.float32), "different lengths"),
        ("labels", np.array([0, 1, 2], np.int32), "a label without a class"),
        ("labels", np.array([0, 1, -1], np.int32), "a label without a class"),
        ("probabilities", np.full((3, 2), np.nan, np.float32), "outside of 0 and 1"),
        ("probabilities", np.full((3, 2), 1.5, np.float32), "outside of 0 and 1"),
        ("labels", None, "an array is missing"),
    ],
)
def test_arrays_that_do_not_fit_are_damage(tmp_path: Path, name: str, value: Any, words: str) -> None:  # arrays
    arrays: dict[str, Any] = {
        "test/sha256": np.array([f"{number:064x}" for number in range(3)], "S64"),
        "test/labels": np.array([0, 1, 0], np.int32),
        "test/probabilities": np.full((3, 2), 0.5, np.float32),
    }
    np.savez(tmp_path / FILE, **arrays)
    assert read_predictions(tmp_path, "test") is not None
    arrays[f"test/{name}"] = value
    np.savez(tmp_path / FILE, **{key: array for key, array in arrays.items() if array is not None})
    with pytest.raises(UserError, match=rf"answers\.npz` is damaged: .*{words}"):
        read_predictions(tmp_path, "test")
