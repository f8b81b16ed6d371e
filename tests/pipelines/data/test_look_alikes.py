"""Look-alikes of a class form one group: copies, images of a given group, and what has nearly the same features."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from models.arrays import FeatureRows
from pipelines.data import look_alikes
from pipelines.data.look_alikes import find_look_alikes
from pipelines.runs.examples import Example
from pipelines.runs.look_alike_record import StricterCosine

CLASSES = ("a", "b", "c")


def images(
    labels: Sequence[int], contents: Sequence[object] | None = None, groups: Sequence[str | None] | None = None
) -> list[Example]:
    contents, groups = contents or range(len(labels)), groups or [None] * len(labels)
    return [
        Example(path=f"/{number}", label=label, split="train", sha256=str(content), source="", group=group)
        for number, (label, content, group) in enumerate(zip(labels, contents, groups, strict=True))
    ]


def at_angles(*degrees: float) -> FeatureRows:
    """Features in a plane: the cosine of two of them is that of the difference of their angles."""
    angles = np.radians(degrees)
    # Of different lengths: a cosine does not see them.
    return np.asarray(np.stack([np.cos(angles), np.sin(angles)], 1) * (1 + np.arange(len(angles)))[:, None], np.float32)


def partition(group_of: Sequence[int]) -> set[frozenset[int]]:
    return {frozenset(place for place, other in enumerate(group_of) if other == group) for group in set(group_of)}


# cos 31 = 0.857, cos 32 = 0.848, cos 25 = 0.906, cos 26 = 0.899, cos 18 = 0.951, cos 19 = 0.946.
@pytest.mark.parametrize(
    ("degrees", "labels", "contents", "groups", "expected"),
    [
        ((0, 31, 90, 180), (0, 0, 0, 0), None, None, [0, 0, 1, 2]),
        ((0, 32, 90, 180), (0, 0, 0, 0), None, None, [0, 1, 2, 3]),
        # A chain: the first and the third are 60 degrees apart, and the second is near both.
        ((60, 30, 0, 180, 270), (0,) * 5, None, None, [0, 0, 0, 1, 2]),
        # Images of two classes may look alike.
        ((0, 0, 90, 90), (0, 1, 0, 1), None, None, [0, 1, 2, 3]),
        # Identical files are one image, whatever their class.
        ((0, 0, 90, 90), (0, 1, 0, 1), "xxyz", None, [0, 0, 1, 2]),
        # So is a group that the user gives; images without one belong to none together.
        ((0, 90, 180, 270), (0, 1, 0, 1), None, ("ann", "ann", None, None), [0, 0, 1, 2]),
        # All three ways in one chain.
        ((0, 20, 90, 180, 270), (0, 0, 1, 1, 0), "12235", ("p", None, None, "q", "q"), [0, 0, 0, 1, 1]),
    ],
)
def test_hand_worked_groups(
    degrees: Sequence[float],
    labels: Sequence[int],
    contents: Sequence[object] | None,
    groups: Sequence[str | None] | None,
    expected: list[int],
) -> None:
    assert (
        find_look_alikes(images(labels, contents, groups), at_angles(*degrees), CLASSES).group_of.tolist() == expected
    )


def test_features_that_are_all_zero_are_like_none() -> None:
    rows = np.concatenate([at_angles(0, 90, 180), np.zeros((2, 2), np.float32)]).astype(np.float16)
    assert find_look_alikes(images([0] * 5), rows, CLASSES).group_of.tolist() == [0, 1, 2, 3, 4]


@pytest.mark.parametrize(
    ("step", "is_one_group", "cosine"),
    [
        # Each image is as far from the next: 26 degrees join the class at 0.85, and no longer at 0.9.
        (26, False, 0.9),
        (25, False, 0.95),
        (18, False, None),
        (0, False, None),
    ],
)
def test_a_class_that_is_one_chain_gets_a_stricter_cosine(step: float, is_one_group: bool, cosine: float) -> None:
    swallowed = at_angles(*(step * number for number in range(5)))
    found = find_look_alikes(
        images([0] * 5 + [1] * 4), np.concatenate([swallowed, at_angles(180, 185, 270, 0)]), CLASSES
    )
    assert found.group_of.tolist() == [0, 1, 2, 3, 4, 5, 5, 6, 7]
    assert found.record.stricter == (StricterCosine(class_name="a", cosine=cosine),)


def test_four_of_five_images_may_be_look_alikes_and_more_may_not() -> None:
    rows = at_angles(0, 1, 2, 3, 90)
    assert find_look_alikes(images([0] * 5), rows, CLASSES).group_of.tolist() == [0, 0, 0, 0, 1]
    rows = at_angles(0, 1, 2, 3, 4, 90)
    assert find_look_alikes(images([0] * 6), rows, CLASSES).group_of.tolist() == [0, 1, 2, 3, 4, 5]


def test_copies_and_given_groups_stay_together_in_a_class_of_look_alikes() -> None:
    groups = [None, None, None, None, "ann", "ann"]
    found = find_look_alikes(images([0] * 6, "xxyzvw", groups), at_angles(*range(6)), CLASSES)
    assert partition(found.group_of.tolist()) == {frozenset({0, 1}), frozenset({2}), frozenset({3}), frozenset({4, 5})}
    # Where these alone are nearly the whole class, the cosine stays what it is: no other would help.
    found = find_look_alikes(images([0] * 6, "xxxxxw"), at_angles(0, 0, 0, 0, 0, 90), CLASSES)
    assert (found.group_of.tolist(), found.record.stricter) == ([0, 0, 0, 0, 0, 1], ())


def test_the_record_says_how_many_groups_there_are_and_how_they_were_found() -> None:
    few = find_look_alikes(images([0, 0, 0, 1, 1, 1]), at_angles(0, 5, 90, 0, 90, 180), CLASSES).record
    assert few.line == "6 images in 5 groups of look-alikes (identical, or a cosine of features above 0.85)"
    given = find_look_alikes(images([0, 0, 1, 1], None, ["p", None, "p", None]), at_angles(0, 90, 0, 90), CLASSES)
    assert given.record.line.endswith("(of one `group`, identical, or a cosine of features above 0.85)")
    rows = at_angles(0, 20, 40, 120, 121, 122, 240, 330, 60)
    strict = find_look_alikes(images([0, 0, 0, 1, 1, 1, 2, 2, 2]), rows, ("a\nb", "b", "c")).record
    assert strict.groups == 9
    assert strict.line.split("; ")[1:] == [
        "above 0.95 in 1 class of images that nearly all look alike: `a\\nb`",
        "by no cosine in 1 class of images that nearly all look alike: `b`",
    ]


def bursts(seed: int, num_images: int, num_scenes: int, spread: float) -> tuple[list[Example], FeatureRows]:
    """Images of three classes: noise around the features of scenes, some of which appear in two classes."""
    rng = np.random.default_rng(seed)
    scenes = rng.integers(num_scenes, size=num_images)
    rows = rng.standard_normal((num_scenes, 24))[scenes] + spread * rng.standard_normal((num_images, 24))
    labels = (scenes + (rng.random(num_images) < 0.2)) % 3
    contents = np.where(rng.random(num_images) < 0.1, scenes, num_scenes + np.arange(num_images))
    groups = [f"p{rng.integers(num_images)}" if rng.random() < 0.3 else None for _ in range(num_images)]
    return images(labels.tolist(), contents.tolist(), groups), rows.astype(np.float32)


def reference(examples: Sequence[Example], rows: FeatureRows, cosine: float) -> set[frozenset[int]]:
    """The groups by a plain union of all pairs, in double precision."""
    parents = list(range(len(examples)))

    def root(place: int) -> int:
        while parents[place] != place:
            place = parents[place]
        return place

    directions = rows.astype(np.float64) / np.linalg.norm(rows.astype(np.float64), axis=1)[:, None]
    for place, image in enumerate(examples):
        for other in range(place):
            earlier = examples[other]
            alike = image.label == earlier.label and float(directions[place] @ directions[other]) > cosine
            same_group = image.group is not None and image.group == earlier.group
            if alike or same_group or image.sha256 == earlier.sha256:
                parents[root(place)] = root(other)
    return partition([root(place) for place in range(len(examples))])


@pytest.mark.parametrize("spread", [0.1, 0.5, 0.7])
@pytest.mark.parametrize("block", [1, 64, 2**20])
def test_bursts_are_those_of_a_plain_union_of_all_pairs(
    spread: float, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(look_alikes, "BLOCK", block)
    examples, rows = bursts(3, num_images=150, num_scenes=60, spread=spread)
    found = find_look_alikes(examples, rows, CLASSES)
    assert not found.record.stricter
    assert partition(found.group_of.tolist()) == reference(examples, rows, 0.85)
    assert found.record.groups == len(partition(found.group_of.tolist()))


def test_another_order_of_the_images_gives_the_same_groups() -> None:
    examples, rows = bursts(4, num_images=200, num_scenes=80, spread=0.4)
    first = find_look_alikes(examples, rows, CLASSES)
    order = np.random.default_rng(0).permutation(len(examples))
    other = find_look_alikes([examples[place] for place in order], rows[order], CLASSES)
    moved = {frozenset(int(order[place]) for place in group) for group in partition(other.group_of.tolist())}
    assert moved == partition(first.group_of.tolist())
    assert other.record == first.record
    again = find_look_alikes(examples, rows.astype(np.float16), CLASSES)
    assert partition(again.group_of.tolist()) == partition(first.group_of.tolist())


def test_a_network_that_finds_everything_alike_gets_a_stricter_cosine() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat([0, 1], 60)
    # Features share a large part: any two images have a cosine of about 0.9.
    rows = (random.normal(size=(120, 400)) + 3.0).astype(np.float32)
    rows[1], rows[61] = rows[0] + 0.3 * random.normal(size=400), rows[60] + 0.3 * random.normal(size=400)
    directions = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    of_two_classes = np.median(directions[:60] @ directions[60:].T)
    found = find_look_alikes(images(labels.tolist()), rows, CLASSES)
    assert of_two_classes > 0.85
    assert found.record.cosine == pytest.approx(1 - (1 - of_two_classes) / 4, abs=2e-3)
    assert partition(found.group_of.tolist()) == {
        frozenset({0, 1}),
        frozenset({60, 61}),
        *(frozenset({place}) for place in range(120) if place % 60 > 1),
    }
