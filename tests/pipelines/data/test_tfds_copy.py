"""A set of TensorFlow Datasets is copied out once, its images encoded as they are; a copy can be taken up."""

from __future__ import annotations

import hashlib
from pathlib import Path

import pytest

from pipelines.data import tfds_copy
from pipelines.data.check import check
from pipelines.data.scan import scan
from pipelines.system.cache import write_cache_file
from tests.pipelines.data.tfds_sets import LABELS, assert_refused, contents, hashes, picture

pytestmark = [pytest.mark.filterwarnings("ignore"), pytest.mark.usefixtures("tfds_cache")]  # the warnings are TFDS' own


def test_images_are_copied_as_they_are_and_labels_follow_the_natural_order(
    tfds_cache: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    listing = scan("tfds:headstart_pictures")
    assert capfd.readouterr().out == ""
    assert listing.origin == "tfds"
    assert listing.class_names == ("item2", "item10")
    assert contents(tfds_cache, "train") == hashes("train", 12)
    assert contents(tfds_cache, "test") == hashes("test", 5)
    assert [file.split for file in listing.files] == ["train"] * 12 + ["test"] * 5
    assert any("1 image without a label" in line for line in listing.remarks)
    expected = {hashlib.sha256(picture("train", number)).hexdigest(): LABELS[number % 2] for number in range(12)}
    for file in listing.files[:12]:
        assert listing.class_names[file.label] == expected[hashlib.sha256(Path(file.path).read_bytes()).hexdigest()]
    dataset = check(listing)
    assert dataset.skipped == ()
    assert dataset.part("validation")  # carved out of train
    assert scan("tfds:headstart_pictures:1.2.3").files == listing.files


def test_an_interrupted_copy_is_taken_up(tfds_cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written: list[Path] = []

    def stop(path: Path, content: bytes) -> None:
        if len(written) == 7:
            raise KeyboardInterrupt
        written.append(path)
        write_cache_file(path, content)

    monkeypatch.setattr(tfds_copy, "write_cache_file", stop)
    with pytest.raises(KeyboardInterrupt):
        scan("tfds:headstart_pictures")
    assert len(contents(tfds_cache, "train")) == 7

    again: list[Path] = []

    def count(path: Path, content: bytes) -> None:
        again.append(path)
        write_cache_file(path, content)

    monkeypatch.setattr(tfds_copy, "write_cache_file", count)
    scan("tfds:headstart_pictures")
    assert contents(tfds_cache, "train") == hashes("train", 12)
    assert not set(again) & set(written)
    assert again[-1].name == "complete.json"


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("tfds:headstart_numbers", "is not a set of labelled images"),
        ("tfds:no_such_dataset_at_all", "unknown TensorFlow dataset"),
        ("tfds:headstart_pictures:9.9.9", "headstart_pictures:9.9.9`"),
    ],
)
def test_what_cannot_be_read_is_named(name: str, words: str) -> None:
    assert_refused(name, words)
