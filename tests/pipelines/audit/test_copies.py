"""Identical images and near duplicates are found where they are, and what differs is left alone."""

from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageEnhance

from pipelines.audit.aligned import aligned_likeness
from pipelines.audit.copies import distinct_places, find_copies, find_near_copies, near_groups
from pipelines.audit.findings import Finding
from pipelines.audit.near_pairs import find_near_pairs
from tests.pipelines.audit.made import kinds_of, photo, read


def save(root: Path, name: str, image: Image.Image) -> None:
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    image.save(root / name)


def near_of(root: Path) -> list[Finding]:
    data = read(root)
    places = distinct_places(data)
    return find_near_copies(data, places, find_near_pairs([data.images[place] for place in places], None))


def test_copies_are_named_by_the_worst_that_is_wrong_with_them(tmp_path: Path) -> None:
    for number in range(4):
        save(tmp_path, f"train/cat/{number}.png", photo(number))
    save(tmp_path, "train/dog/9.png", photo(9))
    save(tmp_path, "test/cat/8.png", photo(8))
    save(tmp_path, "test/dog/7.png", photo(7))
    shutil.copy(tmp_path / "train/cat/0.png", tmp_path / "train/cat/0-copy.png")
    shutil.copy(tmp_path / "train/cat/1.png", tmp_path / "train/dog/1-copy.png")
    shutil.copy(tmp_path / "train/cat/2.png", tmp_path / "test/cat/2-copy.png")
    findings = find_copies(read(tmp_path))
    # Of copies in one class one may stay; of a leak the test image stays; of two labels nobody knows which is right.
    assert kinds_of(findings) == {"duplicate": {"0-copy.png"}, "two-labels": {"1.png", "1-copy.png"}, "leak": {"2.png"}}
    (leak,) = (finding for finding in findings if finding.kind == "leak")
    assert leak.compared_with.endswith("test/cat/2-copy.png")


def changed(image: Image.Image, how: str) -> Image.Image:
    width, height = image.size
    match how:
        case "recompressed":
            stream = io.BytesIO()
            image.save(stream, "JPEG", quality=30)
            return Image.open(stream)
        case "resized":
            return image.resize((width // 2, height // 2))
        case "cropped":
            return image.crop((round(0.05 * width), 0, width, round(0.95 * height)))
        case _:
            return ImageEnhance.Brightness(image).enhance(1.3)


@pytest.mark.parametrize("how", ["recompressed", "resized", "cropped", "brightened"])
@pytest.mark.parametrize(
    ("first", "second", "kind"),
    [
        ("cat/a.png", "cat/b.png", "near-duplicate"),
        ("cat/a.png", "dog/b.png", "near-two-labels"),
        ("train/cat/a.png", "test/cat/b.png", "near-leak"),
    ],
)
def test_near_duplicates_are_found(tmp_path: Path, how: str, first: str, second: str, kind: str) -> None:
    parts = ("train", "test") if first.startswith("train") else ("",)
    for part in parts:
        for place, name in enumerate(("cat", "dog")):
            for number in range(6):
                save(tmp_path / part, f"{name}/{number}.png", photo(100 * place + number + 10 * len(part)))
    save(tmp_path, first, photo(1000))
    save(tmp_path, second, changed(photo(1000), how))
    (finding,) = near_of(tmp_path)
    assert finding.kind == kind
    assert {Path(finding.path).name, Path(finding.compared_with).name} == {"a.png", "b.png"}
    if kind == "near-leak":
        assert "train" in finding.path and "test" in finding.compared_with


def test_groups_join_chains_of_near_duplicates_and_copies(tmp_path: Path) -> None:
    for number in range(5):
        save(tmp_path, f"cat/{number}.png", photo(number))
    for how in ("resized", "brightened"):
        save(tmp_path, f"cat/{how}.png", changed(photo(0), how))
    shutil.copy(tmp_path / "cat/4.png", tmp_path / "cat/4-copy.png")
    data = read(tmp_path)
    places = distinct_places(data)
    pairs = find_near_pairs([data.images[place] for place in places], None)
    groups = near_groups(data, places, pairs)
    names: dict[str, set[str]] = {}
    for path, group in groups.items():
        names.setdefault(group, set()).add(Path(path).name)
    assert sorted(map(sorted, names.values())) == [["0.png", "brightened.png", "resized.png"], ["4-copy.png", "4.png"]]


def test_drawn_shapes_on_one_ground_are_not_near_duplicates(image_folder: Callable[..., Path]) -> None:
    findings = near_of(image_folder(per_class=30, size=64))
    assert findings == []


def test_likeness_finds_the_window_whichever_is_cropped() -> None:
    whole = photo(3, 320)
    crop = whole.crop((16, 0, 320, 304))  # 95 %, from a corner
    small = [
        np.asarray(image.convert("L").resize((32, 32), Image.Resampling.BOX), np.float32)[None]
        for image in (whole, crop, photo(4))
    ]
    assert aligned_likeness(small[0], small[1])[0] > 0.95
    assert aligned_likeness(small[1], small[0])[0] == pytest.approx(aligned_likeness(small[0], small[1])[0], abs=1e-5)
    assert aligned_likeness(small[0], small[2])[0] < 0.5
    assert aligned_likeness(small[0], np.full_like(small[0], 7))[0] == pytest.approx(0, abs=1e-4)


def test_nothing_to_compare_is_no_error() -> None:
    assert aligned_likeness(np.zeros((0, 32, 32), np.float32), np.zeros((0, 32, 32), np.float32)).shape == (0,)
