"""Scanning: which reader DATA gets, what is refused whatever the reader, and that it is quick and light."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

from pipelines.data.scan import scan
from tests.pipelines.data.tree import refused, touch


def test_a_folder_too_far_up_gets_a_hint(tmp_path: Path) -> None:
    touch(tmp_path, "images/cat/1", "images/dog/2")
    assert f"did you mean `{tmp_path}/images`?" in refused(tmp_path).hint


def test_classes_that_look_alike_are_remarked_on_in_training(tmp_path: Path) -> None:
    touch(tmp_path, "Cat/1", "cat/2")
    (remark,) = scan(str(tmp_path)).remarks
    assert "`Cat` and `cat`" in remark
    assert scan(str(tmp_path), for_training=False).remarks == ()


def test_evaluation_takes_one_class(tmp_path: Path) -> None:
    touch(tmp_path, "cat/1", "dog/.2")
    listing = scan(str(tmp_path), for_training=False)
    assert listing.class_names == ("cat", "dog")
    assert len(listing.files) == 1


def test_what_is_not_there_or_neither_folder_nor_csv_is_named(tmp_path: Path) -> None:
    assert f"`{tmp_path}/nowhere` does not exist" in refused(tmp_path / "nowhere").message
    (tmp_path / "photos.zip").write_bytes(b"PK\x03\x04\x00\x00")
    assert "neither a folder nor a CSV" in refused(tmp_path / "photos.zip").message
    os.mkfifo(tmp_path / "pipe")
    assert "neither a folder nor a file" in refused(tmp_path / "pipe").message


def test_ten_thousand_classes_take_a_moment(tmp_path: Path) -> None:
    for number in range(10_000):
        folder = f"{tmp_path}/class{number}"
        os.mkdir(folder)
        with open(f"{folder}/1.jpg", "wb"):
            pass
    began = time.process_time()
    listing = scan(str(tmp_path))
    assert time.process_time() - began < 3.0
    assert listing.class_names[:3] == ("class0", "class1", "class2")
    assert len(listing.class_names) == len(listing.files) == 10_000


def test_scanning_imports_no_tensorflow(tmp_path: Path) -> None:
    touch(tmp_path, "a/1", "b/2")
    code = (
        "import sys; from pipelines.data.scan import scan; import pipelines.data.check, pipelines.inference.inputs; "
        f"scan({str(tmp_path)!r}); "
        "assert not {'tensorflow', 'keras', 'numpy', 'PIL'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True, cwd=Path(__file__).parents[3])
