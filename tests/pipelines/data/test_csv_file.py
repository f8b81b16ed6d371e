"""A CSV with `path,label[,split][,group]`: what is read, and which line is named when one is wrong."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.scan import scan


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("1.jpg", "2.jpg", "3.jpg", "with, comma\nand line.jpg", "é.jpg"):
        (tmp_path / "images").mkdir(exist_ok=True)
        (tmp_path / "images" / name).write_bytes(b"x")
    return tmp_path


def listed(folder: Path, content: str | bytes) -> list[tuple[str, str, str | None]]:
    path = folder / "list.csv"
    path.write_bytes(content if isinstance(content, bytes) else content.encode())
    listing = scan(str(path))
    assert listing.origin == "csv"
    return [
        (os.path.relpath(file.path, folder / "images"), listing.class_names[file.label], file.split)
        for file in listing.files
    ]


def test_paths_are_relative_to_the_csv_and_further_columns_are_passed_over(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir("/")
    content = f"id,Label,path\n1, a ,images/1.jpg\n\n2,b,{folder}/images/2.jpg\n"
    assert listed(folder, content) == [("1.jpg", "a", None), ("2.jpg", "b", None)]


def test_quoted_newlines_a_byte_order_mark_and_windows_line_ends(folder: Path) -> None:
    content = b'\xef\xbb\xbfpath,label\r\n"images/with, comma\nand line.jpg",a\r\nimages/2.jpg,b\r\n'
    assert listed(folder, content) == [("with, comma\nand line.jpg", "a", None), ("2.jpg", "b", None)]


def test_names_that_are_not_utf8(folder: Path) -> None:
    name = b"images/\xff.jpg"
    with open(os.path.join(os.fsencode(folder), name), "wb"):
        pass
    (first, *_), _ = listed(folder, b"path,label\n" + name + b",a\nimages/1.jpg,b\n")
    assert os.fsencode(first) == b"\xff.jpg"


def test_splits_are_read_under_any_of_their_names(folder: Path) -> None:
    content = "path,label,split\nimages/1.jpg,a,train\nimages/2.jpg,b,Train\nimages/3.jpg,a,val\nimages/é.jpg,b,valid\n"
    assert [split for _, _, split in listed(folder, content)] == ["train", "train", "validation", "validation"]


def test_groups_are_read_and_an_empty_one_is_none(folder: Path) -> None:
    content = b"group,path,label\n p 1 ,images/1.jpg,a\n,images/2.jpg,b\n  ,images/3.jpg,a\n"
    content += b'"x\n\x1b\xff",images/\xc3\xa9.jpg,b\n'
    listed(folder, content)
    groups = [file.group for file in scan(str(folder / "list.csv")).files]
    assert groups == ["p 1", None, None, os.fsdecode(b"x\n\x1b\xff")]
    listed(folder, "path,label\nimages/1.jpg,a\nimages/2.jpg,b\n")
    assert [file.group for file in scan(str(folder / "list.csv")).files] == [None, None]


def test_a_line_that_repeats_another_counts_once(folder: Path) -> None:
    content = "path,label\nimages/1.jpg,a\nimages/2.jpg,b\nimages/../images/1.jpg,a\n"
    assert len(listed(folder, content)) == 2
    assert "1 repeated line" in scan(str(folder / "list.csv")).remarks[0]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("", "has no columns `path` and `label`"),
        ("file;class\n1.jpg;a\n", "has no columns `path` and `label`"),
        ("path,label\n", "lists no images"),
        ("path,label\nimages/1.jpg,a\nimages/gone.jpg,b\nimages/too.jpg,b\n", "line 3 of"),
        ("path,label\nimages/1.jpg,a\nimages/gone.jpg,b\nimages/too.jpg,b\n", "and 1 more missing file"),
        ("path,label\nimages/1.jpg,\n", "line 2 of"),
        ("path,label\n,a\n", "has no path"),
        ("path,label\nimages/1.jpg\n", "has no label"),
        ("path,label,split\nimages/1.jpg,a,dev\n", "has the unknown split `dev`"),
        ("path,label,split\nimages/1.jpg,a,train\nimages/2.jpg,b,\n", "line 3 of"),
        ("path,label,split\nimages/1.jpg,a,train\nimages/2.jpg,b,train\n", "has only train lines"),
        ("path,label,split\nimages/1.jpg,a,train\nimages/2.jpg,b,test\n", "the classes of `test`"),
        ("path,label\nimages/1.jpg,a\nimages/1.jpg,b\n", "two labels: `a` and `b`"),
        ("path,label,split\nimages/1.jpg,a,train\nimages/1.jpg,a,test\n", "two splits: `train` and `test`"),
        ("path,label,group\nimages/1.jpg,a,p\nimages/1.jpg,a,\x1bq\n", r"two groups: `p` and `\x1bq`"),
        ("path,label,group\nimages/1.jpg,a,\nimages/1.jpg,a,q\n", "two groups: `none` and `q`"),
        ('path,label\n"images/1.jpg,a\n', "is not valid CSV"),
        ("path,label\nimages/1.jpg,a\nimages/2.jpg,a\n", "one class, `a`"),
        ("path,label\n" + "x" * 200_000 + ",a\n", "is not valid CSV"),
    ],
)
def test_what_is_wrong_is_named(folder: Path, content: str, words: str) -> None:
    with pytest.raises(UserError) as caught:
        listed(folder, content)
    assert words in caught.value.message
    assert "list.csv`" in caught.value.message


def test_a_utf16_file_says_how_to_save_it(folder: Path) -> None:
    with pytest.raises(UserError, match="neither a folder nor a CSV") as caught:
        listed(folder, "path,label\nimages/1.jpg,a\n".encode("utf-16"))
    assert "UTF-8" in caught.value.hint


def test_parts_that_spell_a_class_in_two_unicode_forms_are_matched(folder: Path) -> None:
    composed, decomposed = "caf\u00e9", "cafe\u0301"
    lines = [f"images/2.jpg,{decomposed},test", f"images/1.jpg,{composed},train"]
    content = "path,label,split\n" + "\n".join(lines)
    assert {label for _, label, _ in listed(folder, content + "\nimages/3.jpg,b,train\nimages/é.jpg,b,test")} == {
        composed,
        "b",
    }
