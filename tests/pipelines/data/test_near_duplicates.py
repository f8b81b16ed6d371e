"""Near duplicates of a class are joined by their fingerprints; where all images are alike, only nearer ones are."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from scipy.cluster.hierarchy import fcluster, linkage

from models.arrays import Doubles
from pipelines.data.near_duplicates import COSINES, find_near_duplicates
from pipelines.images.fingerprint import LENGTH

Group = set[int]


def as_bytes(rows: Doubles) -> list[bytes]:
    return [row.round().clip(0, 255).astype(np.uint8).tobytes() for row in rows]


def unlike(count: int, seed: int) -> Doubles:
    """(count, LENGTH) fingerprints of which two commonly have a cosine of about 0.5."""
    return np.random.default_rng(seed).gamma(1.0, 40, (count, LENGTH)).clip(0, 255)


def near(row: Doubles, deviation: float, seed: int) -> Doubles:
    return np.asarray((row + np.random.default_rng(seed).normal(0, deviation, LENGTH)).clip(0, 255))


def groups_of(stand_in: Sequence[str | None]) -> list[Group]:
    names = sorted({name for name in stand_in if name})
    return [{place for place, name in enumerate(stand_in) if name == other} for other in names]


def contents_of(count: int) -> list[str]:
    return [f"{(7919 * number) % 10_007:064x}" for number in range(count)]


def test_planted_near_duplicates_are_found_within_their_class() -> None:
    rows = unlike(40, seed=0)
    rows[30] = near(rows[3], 4, seed=1)  # of the same class
    rows[31] = near(rows[30], 4, seed=2)  # of that one
    rows[10] = near(rows[35], 4, seed=3)  # of another class
    labels = [0] * 20 + [1] * 8 + [0] * 4 + [1] * 8
    contents = contents_of(40)
    result = find_near_duplicates(contents, labels, as_bytes(rows), ["a", "b"])
    assert groups_of(result.stand_in) == [{3, 30, 31}]
    assert result.stand_in[3] == min(contents[place] for place in (3, 30, 31))
    assert result.way == "alike by their edges, with a cosine above 0.96"


def test_neither_order_nor_other_classes_change_the_groups() -> None:
    rows = np.concatenate([unlike(20, 0), unlike(20, 0) + 2, unlike(20, 1)])
    contents, labels = contents_of(60), [0] * 40 + [1] * 20
    result = find_near_duplicates(contents, labels, as_bytes(rows), ["a", "b"])
    assert len(groups_of(result.stand_in)) == 20
    order = np.random.default_rng(0).permutation(60)
    shuffled = find_near_duplicates(
        [contents[place] for place in order], [labels[place] for place in order], as_bytes(rows[order]), ["a", "b"]
    )
    assert shuffled.stand_in == tuple(result.stand_in[place] for place in order)
    alone = find_near_duplicates(contents[:40], labels[:40], as_bytes(rows[:40]), ["a", "b"])
    assert alone.stand_in == result.stand_in[:40]


def test_groups_are_those_of_single_linkage() -> None:
    rows = np.concatenate([near(row, 12, seed)[None] for seed, row in enumerate(np.repeat(unlike(60, 5), 2, axis=0))])
    kept = [np.frombuffer(taken, np.uint8).astype(float) for taken in as_bytes(rows)]
    distances = linkage(np.stack(kept), method="single", metric="cosine")
    clusters = fcluster(distances, 1 - COSINES[0], criterion="distance")
    expected = [set(np.flatnonzero(clusters == cluster)) for cluster in np.unique(clusters)]
    assert 10 < sum(len(group) > 1 for group in expected) < 59, "some of the pairs are near enough"
    result = find_near_duplicates(contents_of(120), [0] * 120, as_bytes(rows), ["a"])
    assert sorted(map(sorted, groups_of(result.stand_in))) == sorted(sorted(g) for g in expected if len(g) > 1)


def test_a_class_of_like_images_joins_only_nearer_ones() -> None:
    """All images of one scene are no near duplicates: two that differ far less than the others are."""
    scene = unlike(1, seed=0)[0]
    rows = np.stack([near(scene, 12, seed) for seed in range(30)])
    rows[7] = near(rows[21], 1, seed=99)
    rows = np.concatenate([rows, unlike(20, seed=1)])
    result = find_near_duplicates(contents_of(50), [0] * 30 + [1] * 20, as_bytes(rows), ["scene", "b"])
    assert groups_of(result.stand_in) == [{7, 21}]
    assert result.way.endswith("with a cosine above 0.96, a greater one in 1 class of like images: `scene`")


def test_a_group_never_takes_a_class_of_which_three_parts_are_made() -> None:
    rows = unlike(30, seed=0)
    for place in range(1, 12):  # 12 of 30 images are more than a third
        rows[place] = near(rows[0], 6, seed=place)
    result = find_near_duplicates(contents_of(30), [0] * 30, as_bytes(rows), ["a"])
    assert max(map(len, groups_of(result.stand_in)), default=0) <= 10


@pytest.mark.parametrize("count", [1, 2])
def test_classes_of_an_image_or_two_join_none(count: int) -> None:
    rows = np.repeat(unlike(1, seed=0), count, axis=0)
    assert find_near_duplicates(contents_of(count), [0] * count, as_bytes(rows), ["a"]).stand_in == (None,) * count


def test_identical_and_empty_images_are_no_near_duplicates() -> None:
    rows = unlike(20, seed=0)
    rows[1] = rows[0]
    rows[5:10] = 0  # no edges
    contents = contents_of(20)
    contents[1] = contents[0]
    assert find_near_duplicates(contents, [0] * 20, as_bytes(rows), ["a"]).stand_in == (None,) * 20
