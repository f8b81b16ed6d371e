"""Images to compare an export on: readable, from validation before test before training, spread over each part."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.inference.sample_images import images_of_run, read_sample, read_samples
from pipelines.runs.examples import Dataset, Example, Split
from pipelines.runs.folder import write_split
from tests.pipelines.manifests import manifest_with
from tests.pipelines.pictures import drawn, saved

CONTENTS = [saved(drawn(40 + seed, 30, seed=seed), form) for seed, form in enumerate(("JPEG", "PNG", "WEBP"))]


def test_samples_are_the_readable_ones(tmp_path: Path) -> None:
    paths = []
    for number, data in enumerate([b"", *CONTENTS, saved(drawn(), "TIFF")]):
        paths.append(str(tmp_path / f"{number}.img"))
        Path(paths[-1]).write_bytes(data)
    contents = read_samples(paths)
    assert contents[:3] == CONTENTS and contents[3].startswith(b"\x89PNG")
    assert read_samples(paths, limit=2) == CONTENTS[:2]
    with pytest.raises(UserError, match="none of 1 images"):
        read_samples(paths[:1])


def test_an_unreadable_image_that_was_named_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "page.jpg").write_text("<html>")
    with pytest.raises(UserError, match=r"page.jpg` cannot be compared on: not an image but a web page"):
        read_sample(str(tmp_path / "page.jpg"))


def test_validation_images_come_first_spread_over_their_part(tmp_path: Path) -> None:
    parts: list[tuple[str, Split, int]] = [("t", "train", 1), ("v", "validation", 48), ("e", "test", 2)]
    examples = tuple(
        Example(path=f"/{letter}{number:02d}", label=0, split=part, sha256="ab" * 32, source=f"/{letter}{number}")
        for letter, part, count in parts
        for number in range(count)
    )
    write_split(tmp_path, Dataset(root="/", origin="folders", class_names=("cat", "dog"), examples=examples))
    paths = images_of_run(str(tmp_path), manifest_with())
    assert len(set(paths)) == len(paths) == 51
    # Of 48 images every third, which makes 16; then the others.
    assert paths[:16] == [f"/v{number:02d}" for number in range(0, 48, 3)]
    assert paths[48:] == ["/e00", "/e01", "/t00"]
