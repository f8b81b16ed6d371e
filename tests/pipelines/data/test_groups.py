"""Copies share a key, and so do images of one given group; copies in two groups join the groups."""

from __future__ import annotations

import hashlib

import numpy as np

from pipelines.data.groups import group_keys


def name_hash(name: bytes) -> str:
    return hashlib.sha256(name).hexdigest()


def test_without_given_groups_the_key_is_the_content() -> None:
    assert group_keys(["x", "y", "x"], [None, None, None]) == ["x", "y", "x"]


def test_images_of_a_given_group_have_the_hash_of_its_name() -> None:
    keys = group_keys(["x", "y", "z", "w"], ["ann", "ann", None, "café\udcff"])
    assert keys == [name_hash(b"ann"), name_hash(b"ann"), "z", name_hash("café".encode() + b"\xff")]


def test_a_copy_without_group_belongs_to_that_of_the_original() -> None:
    assert group_keys(["x", "x"], [None, "ann"]) == [name_hash(b"ann")] * 2


def test_copies_join_groups_through_any_number_of_steps() -> None:
    # ann - bob by 1, bob - dan by 2, cid - dan by 3: the first name in order stands for all of them.
    contents = ["1", "1", "2", "2", "3", "3", "4", "5"]
    groups = ["bob", "ann", "bob", "dan", "cid", "dan", "cid", "eve"]
    assert group_keys(contents, groups) == [name_hash(b"ann")] * 7 + [name_hash(b"eve")]


def test_neither_order_nor_number_changes_a_key() -> None:
    rng = np.random.default_rng(0)
    contents = [f"c{number}" for number in rng.integers(60, size=100)]
    groups = [f"g{number}" if number < 40 else None for number in rng.integers(80, size=100)]
    keys = dict(zip(zip(contents, groups, strict=True), group_keys(contents, groups), strict=True))
    order = [*rng.permutation(100).tolist(), 3, 5]
    contents, groups = [contents[place] for place in order], [groups[place] for place in order]
    assert dict(zip(zip(contents, groups, strict=True), group_keys(contents, groups), strict=True)) == keys


def test_near_duplicates_have_the_first_hash_of_all_that_are_joined() -> None:
    # 5 and 3 stand in for by 3; a copy of 5 joins 9 and 7, which 7 stands for.
    keys = group_keys(["5", "3", "9", "5", "1"], [None] * 5, ["3", "3", "7", "7", None])
    assert keys == ["3", "3", "3", "3", "1"]


def test_a_given_group_names_its_near_duplicates_too() -> None:
    keys = group_keys(["5", "3", "9", "2"], [None, "ann", "bob", None], ["3", "3", None, None])
    assert keys == [name_hash(b"ann"), name_hash(b"ann"), name_hash(b"bob"), "2"]
