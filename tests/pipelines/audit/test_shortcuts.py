"""A planted shortcut is found and named; shuffled labels have none."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.audit.file_traits import TraitColumns
from pipelines.audit.findings import ShortcutTest
from pipelines.audit.shortcuts import find_shortcuts, judge_traits
from tests.pipelines.audit.made import photo, read


def judge(root: Path) -> ShortcutTest | None:
    images = read(root).images
    return find_shortcuts(images, [image.sha256 for image in images])


def write(root: Path, name: str, seed: int, **options: Any) -> None:  # of Pillow's encoder
    (root / name).parent.mkdir(parents=True, exist_ok=True)
    photo(seed, 96).save(root / name, **options)


@pytest.mark.parametrize(
    ("options", "trait"),
    [
        ([{"quality": 75}, {"quality": 92}], "JPEG quality"),
        ([{"progressive": True}, {"progressive": False}], "format"),
    ],
)
def test_a_planted_shortcut_is_found_and_named(tmp_path: Path, options: list[dict[str, object]], trait: str) -> None:
    for seed in range(80):
        write(tmp_path, f"{'ab'[seed % 2]}/{seed * 7919 % 1000}.jpg", seed, **options[seed % 2])
    test = judge(tmp_path)
    assert test is not None and test.is_claimed
    assert test.accuracy > 0.95 and test.interval[0] > test.chance == 0.5
    assert trait in [share.trait for share in test.traits]
    assert next(share.alone for share in test.traits if share.trait == trait) > 0.95


def test_a_numbering_through_all_classes_is_found_and_one_of_each_class_is_not(tmp_path: Path) -> None:
    for seed in range(80):
        label = "ab"[seed // 40]
        write(tmp_path, f"through/{label}/IMG_{5000 + seed}.jpg", seed)
        write(tmp_path, f"each/{label}/{label}-{seed % 40:03d}.jpg", seed)
    through, each = judge(tmp_path / "through"), judge(tmp_path / "each")
    assert through is not None and each is not None
    assert through.is_claimed and through.traits[0].trait == "number in the file name"
    assert not each.is_claimed


def test_none_is_claimed_on_shuffled_labels_in_19_of_20_trials(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pipelines.audit.shortcuts.TREES", 20)
    claimed = 0
    for trial in range(20):
        rng = np.random.default_rng(trial)
        values = rng.normal(size=(120, 6))
        labels = rng.permutation(np.arange(120) % 3).astype(np.int32)
        test = judge_traits(TraitColumns(values=values, columns_of={"size": (0, 1, 2), "format": (3, 4, 5)}), labels)
        claimed += test.is_claimed
        assert test.interval[0] < test.accuracy < test.interval[1]
    assert claimed <= 1


def test_one_image_of_a_group_counts(tmp_path: Path) -> None:
    for seed in range(60):
        write(tmp_path, f"{'ab'[seed % 2]}/{seed}.png", seed)
    images = read(tmp_path).images
    test = find_shortcuts(images, [str(place // 2) for place in range(len(images))])
    assert test is not None and test.images == 30


def test_without_two_classes_of_ten_there_is_no_test(tmp_path: Path) -> None:
    for seed in range(30):
        write(tmp_path, f"{'a' if seed < 25 else 'b'}/{seed}.png", seed)
    assert judge(tmp_path) is None


def test_files_that_differ_in_nothing_have_no_test(tmp_path: Path) -> None:
    content = io.BytesIO()
    photo(0).save(content, "PNG")
    for seed in range(24):
        path = tmp_path / "ab"[seed % 2] / f"x{'y' * seed}.png"
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(content.getvalue())
    images = read(tmp_path).images
    assert find_shortcuts(images, [str(place) for place in range(len(images))]) is None
