"""Single files that are unlike what one wants to train on are found, and others are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image, ImageEnhance, ImageFilter

from pipelines.audit.file_findings import find_in_files
from tests.pipelines.audit.made import kinds_of, photo, read


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Two classes of forty good pictures, of one kind each with one of another kind among them."""
    for place in range(80):
        folder = tmp_path / "data" / ("cat" if place % 2 else "dog")
        folder.mkdir(parents=True, exist_ok=True)
        photo(place).save(folder / f"good-{place}.png")
    cats = tmp_path / "data" / "cat"
    photo(100).filter(ImageFilter.GaussianBlur(8)).save(cats / "blurred.png")
    ImageEnhance.Brightness(photo(101)).enhance(0.18).save(cats / "dark.png")
    Image.eval(photo(102), lambda level: 225 + level // 9).save(cats / "light.png")
    Image.new("RGB", (80, 80), (90, 140, 20)).save(cats / "constant.png")
    photo(103).resize((20, 24)).save(cats / "tiny.png")
    photo(104).resize((400, 60)).save(cats / "aspect.png")
    tags = Image.Exif()
    tags[0x0112] = 8
    photo(105).save(cats / "turned.jpg", exif=tags.tobytes(), quality=95)
    (cats / "unreadable.jpg").write_bytes(b"\xff\xd8\xff\xe0 not a picture")
    return tmp_path / "data"


def test_each_kind_is_found_once_and_no_good_picture(folder: Path) -> None:
    findings, notes = find_in_files(read(folder))
    expected = ("blurred", "dark", "light", "constant", "tiny", "aspect", "turned", "unreadable")
    kinds = {kind: {Path(name).stem for name in names} for kind, names in kinds_of(findings).items()}
    assert kinds == {kind: {kind} for kind in expected}
    assert notes == []
    assert {finding.label for finding in findings} == {"cat"}


def test_what_holds_for_many_is_how_the_data_is(tmp_path: Path) -> None:
    for place in range(40):
        (tmp_path / "cat").mkdir(exist_ok=True)
        image = photo(place)
        (image.resize((28, 28)) if place < 12 else image).save(tmp_path / "cat" / f"{place}.png")
    findings, notes = find_in_files(read(tmp_path))
    assert findings == []
    assert notes == ["tiny images: 12 of 40 images, so that this is how the data is"]
