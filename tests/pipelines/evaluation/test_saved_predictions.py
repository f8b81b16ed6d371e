"""Saved predictions come back exactly; a damaged file is named."""

from __future__ import annotations

from pathlib import Path

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
