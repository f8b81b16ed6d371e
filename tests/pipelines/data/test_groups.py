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
