"""Small, outnumbered and doubly named classes are found."""

from __future__ import annotations

import pytest

from pipelines.audit.class_findings import find_in_classes
from tests.pipelines.audit.made import kinds_of


def test_few_images_and_a_tenth_of_the_largest_are_found() -> None:
    counts = {"cat": 1000, "dog": 100, "cow": 99, "emu": 20, "fox": 19}
    kinds = kinds_of(find_in_classes(counts, counts))
    assert kinds == {"small-class": {"fox"}, "imbalance": {"cow", "emu"}}


def test_copies_count_once() -> None:
    (finding,) = find_in_classes({"cat": 100, "dog": 100}, {"cat": 100, "dog": 12})
    assert (finding.kind, finding.label) == ("small-class", "dog")
    assert finding.detail == "12 distinct images, 100 images with copies"


@pytest.mark.parametrize(
    ("name", "other", "is_like"),
    [
        ("T-Shirt", "t shirt", True),
        ("dress", "Dresses", False),
        ("hat", "hats", True),
        ("ga", "gas", False),
        ("skirt", "skirts", True),
        ("caf\u00e9", "cafe\u0301", True),
        ("class 1", "class 11", False),
        ("+", "-", False),
        ("猫", "犬", False),
    ],
)
def test_names_that_differ_in_spelling_alone(name: str, other: str, is_like: bool) -> None:
    findings = find_in_classes({name: 50, other: 50}, {name: 50, other: 50})
    assert [finding.kind for finding in findings] == (["like-names"] if is_like else [])


def test_no_class_has_no_finding() -> None:
    assert find_in_classes({}, {}) == []
