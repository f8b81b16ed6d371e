"""Names are in natural order, whatever order they come in."""

from __future__ import annotations

import pytest

from pipelines.data.listing import ListedFile, Listing, natural_key, natural_order


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["item10", "item2", "item1"], ["item1", "item2", "item10"]),
        (["b", "A", "a", "B"], ["A", "a", "B", "b"]),
        (["x1y2", "x1y10", "x01y3"], ["x1y2", "x01y3", "x1y10"]),
        (["a", "a1", "a0", "1", "10", "9"], ["1", "9", "10", "a", "a0", "a1"]),
        (["Ä", "z", "ß", "ss"], ["ss", "ß", "z", "Ä"]),
    ],
)
def test_names_are_in_natural_order_from_wherever_one_begins(names: list[str], expected: list[str]) -> None:
    assert natural_order(names) == expected
    assert natural_order(reversed(names)) == expected


def test_numbers_of_any_length_are_compared() -> None:
    long = "x" + "9" * 5000
    assert natural_order([long, "x10"]) == ["x10", long]


def test_no_two_names_have_the_same_key() -> None:
    names = ["a1", "A1", "a01", "a001", "a", "A", "", "1", "01", "a1b"]
    assert len({natural_key(name) for name in names}) == len(names)


def test_a_listing_has_given_parts_where_a_file_has_one() -> None:
    files = tuple(ListedFile(path=f"/{number}", label=0, split=None) for number in range(2))
    listing = Listing(root="", origin="csv", class_names=("a",), files=files)
    assert not listing.has_given_parts
    given = ListedFile(path="/3", label=0, split="train")
    assert Listing(root="", origin="csv", class_names=("a",), files=(*files, given)).has_given_parts
