"""A data set comes back from its file as it was; a damaged file is an error that names it."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.dataset_file import read_dataset, write_dataset
from pipelines.runs.examples import SPLITS, Dataset, Example, Skipped


def dataset_of(count: int) -> Dataset:
    """Examples whose paths have every kind of character: beyond the BMP, line breaks, bytes that are not UTF-8."""
    stray = os.fsdecode(b'/p/\xff\xfe \xed\xb3\xbf \xf0\x9f\x91\xa9 caf\xc3\xa9\n"\\')
    examples = tuple(
        Example(
            path=f"{stray}{number}.jpg",
            label=number % 3,
            split=SPLITS[number * 3 // count],
            sha256=f"{number:064x}",
            source=f"{stray}{number}.png" if number % 2 else f"{stray}{number}.jpg",
            group=f"{stray}{number % 5}" if number % 2 else None,
        )
        for number in range(count)
    )
    return Dataset(
        root=stray,
        origin="split folders",
        class_names=("a", os.fsdecode(b"\x80"), "\u65e5\u672c"),
        examples=examples,
        skipped=(Skipped(path=f"{stray}.bad", reason="damaged"),),
        remarks=("a remark",),
    )


def test_a_data_set_comes_back_as_it_was(tmp_path: Path) -> None:
    dataset = dataset_of(30)
    write_dataset(tmp_path / "dataset.json", dataset)
    assert read_dataset(tmp_path / "dataset.json") == dataset
    assert (tmp_path / "dataset.json").read_bytes().isascii()


def test_the_parts_without_examples_come_back_too(tmp_path: Path) -> None:
    dataset = Dataset(root="", origin="csv", class_names=(), examples=())
    write_dataset(tmp_path / "dataset.json", dataset)
    assert read_dataset(tmp_path / "dataset.json") == dataset


def test_ten_thousand_examples_take_a_moment(tmp_path: Path) -> None:
    dataset = dataset_of(10_000)
    started = time.process_time()
    write_dataset(tmp_path / "dataset.json", dataset)
    restored = read_dataset(tmp_path / "dataset.json")
    assert time.process_time() - started < 2.0
    assert restored == dataset


def test_a_failed_write_leaves_the_file_that_was_there(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    dataset = dataset_of(3)
    write_dataset(tmp_path / "dataset.json", dataset)
    real = Path.write_text

    def full(path: Path, text: str, **options: str) -> int:
        real(path, text[:20], **options)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_text", full)
    with pytest.raises(OSError, match="No space left"):
        write_dataset(tmp_path / "dataset.json", dataset_of(5))
    assert read_dataset(tmp_path / "dataset.json") == dataset
    assert [path.name for path in tmp_path.iterdir()] == ["dataset.json"]


def _without(key: str) -> str:
    values = json.loads(json.dumps({"root": "", "origin": "csv", "class_names": [], "examples": []}))
    del values[key]
    return json.dumps(values)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"", "is damaged"),
        (b"\x80\x04\x95", "is damaged"),
        (b"[" * 100_000, "is damaged"),
        (b'{"root": "a"', "is damaged"),
        (b"[]", "is damaged"),
        (_without("examples").encode(), "examples"),
        (b'{"root": "", "origin": "disk", "class_names": [], "examples": []}', "origin"),
        (b'{"root": "", "origin": "csv", "class_names": ["a", 1], "examples": []}', "class_names"),
        (
            b'{"root": "", "origin": "csv", "class_names": ["a"], "examples": [{"path": "p", "label": "0", '
            b'"split": "train", "sha256": "", "source": "p"}]}',
            "examples",
        ),
    ],
    ids=["empty", "pickle", "deep", "cut short", "a list", "no examples", "origin", "a class", "a label"],
)
def test_a_damaged_file_is_named(tmp_path: Path, content: bytes, words: str) -> None:
    path = tmp_path / "data\nset.json"
    path.write_bytes(content)
    with pytest.raises(UserError, match="is damaged") as caught:
        read_dataset(path)
    assert words in caught.value.message
    assert f"`{tmp_path}/data\\nset.json`" in caught.value.message
    assert "\n" not in caught.value.message
    assert caught.value.hint


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"dataset\.json` cannot be read: No such file or directory") as caught:
        read_dataset(tmp_path / "dataset.json")
    assert caught.value.hint


def test_a_data_set_of_before_there_were_groups_is_read(tmp_path: Path) -> None:
    dataset = dataset_of(4)
    write_dataset(tmp_path / "dataset.json", dataset)
    values = json.loads((tmp_path / "dataset.json").read_text())
    for example in values["examples"]:
        del example["group"]
    (tmp_path / "dataset.json").write_text(json.dumps(values))
    assert [example.group for example in read_dataset(tmp_path / "dataset.json").examples] == [None] * 4
