"""Images that were stored otherwise once more stand in one part with their originals, when the check divides them."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipelines.data.check import check
from pipelines.data.scan import scan
from pipelines.data.split import position
from pipelines.runs.examples import Dataset, Split
from tests.pipelines.pictures import saved

CHANGES = ("small", "dark", "worse")


def photo(seed: int) -> Image.Image:
    """Random blobs: photos of different things."""
    coarse = np.random.default_rng(seed).integers(0, 256, (7, 9, 3), np.uint8)
    return Image.fromarray(coarse).resize((360, 280), Image.Resampling.BICUBIC)


@pytest.fixture
def data(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two classes of 40 photos; the first 15 of each were stored otherwise, too."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path / "cache"))
    for label in range(2):
        folder = tmp_path / "data" / "ab"[label]
        folder.mkdir(parents=True)
        for number in range(40):
            image = photo(100 * label + number)
            (folder / f"{number}.png").write_bytes(saved(image, "PNG"))
            if number < 15:
                (folder / f"{number}-small.png").write_bytes(saved(image.resize((150, 110)), "PNG"))
                (folder / f"{number}-dark.jpg").write_bytes(saved(ImageEnhance.Brightness(image).enhance(0.8), "JPEG"))
                (folder / f"{number}-worse.jpg").write_bytes(saved(image, "JPEG", quality=30))
    return tmp_path / "data"


def parts_of(dataset: Dataset) -> dict[str, Split]:
    return {f"{example.label} {Path(example.path).stem}": example.split for example in dataset.examples}


def test_what_was_stored_otherwise_is_in_the_part_of_the_original(data: Path) -> None:
    dataset = check(scan(str(data)))
    parts = parts_of(dataset)
    for label in range(2):
        for number in range(15):
            assert {parts[f"{label} {number}-{change}"] for change in CHANGES} == {parts[f"{label} {number}"]}
    assert sum(example.near_duplicate is not None for example in dataset.examples) == 2 * 15 * 4
    assert dataset.remarks[0] == (
        "170 images in 80 groups (identical, or alike by their edges, with a cosine above 0.96), each of them in one "
        "part"
    )
    # Each group goes by the first of its hashes.
    for example in dataset.examples:
        u = position(example.near_duplicate or example.sha256)
        assert example.split == ("train" if u < 0.8 else "validation" if u < 0.9 else "test")


def test_without_near_duplicates_each_image_goes_by_its_own_hash(data: Path) -> None:
    dataset = check(scan(str(data)), joins_near_duplicates=False)
    for example in dataset.examples:
        u = position(example.sha256)
        assert example.split == ("train" if u < 0.8 else "validation" if u < 0.9 else "test")
    assert dataset.remarks == () and not any(example.near_duplicate for example in dataset.examples)


def test_an_image_that_is_added_moves_none_but_its_near_duplicates(data: Path) -> None:
    before = parts_of(check(scan(str(data))))
    for number in range(40, 60):
        (data / "a" / f"{number}.png").write_bytes(saved(photo(number), "PNG"))
    (data / "b" / "3-again.jpg").write_bytes(saved(photo(103), "JPEG", quality=20))
    after = parts_of(check(scan(str(data))))
    moved = {name for name, part in before.items() if after[name] != part}
    assert moved <= {"1 3", *(f"1 3-{change}" for change in CHANGES)}
    assert after["1 3-again"] == after["1 3"]


def test_images_that_were_decoded_before_there_were_fingerprints_get_one(data: Path) -> None:
    dataset = check(scan(str(data)))
    with closing(sqlite3.connect(data.parent / "cache" / "ledger.sqlite")) as database:
        database.execute("DELETE FROM fingerprints_1")
        database.commit()
    assert check(scan(str(data))) == dataset


def test_an_evaluation_keeps_images_as_they_are(data: Path) -> None:
    dataset = check(scan(str(data)), for_training=False)
    assert {example.split for example in dataset.examples} == {"test"}
    assert not any(example.near_duplicate for example in dataset.examples)
