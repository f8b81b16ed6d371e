"""Cross-validation: every image outside the test part is held out once, with its copies, in proportion."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from models.errors import UserError
from pipelines.data.folds import Folds, describe_groups, divide_folds, group_folds, pooled
from pipelines.runs.examples import Dataset, Example, Split

CLASSES = ("circle", "square", "triangle")


def example(number: int, label: int, content: str | None = None, split: Split = "train") -> Example:
    sha256 = (content or f"{number:064x}").rjust(64, "0")
    return Example(path=f"{number:04d}", label=label, split=split, sha256=sha256, source="")


def test_folds_keep_copies_together_and_classes_in_proportion() -> None:
    examples = [
        example(number, number % 3, split="validation" if number % 7 == 0 else "train") for number in range(300)
    ]
    copies = [replace(copied, path=f"copy of {copied.path}") for copied in examples[:40]]
    tests = [example(number, 0, split="test") for number in range(900, 905)]
    data = Dataset(root="", origin="folders", class_names=CLASSES, examples=(*examples, *copies, *tests))
    folds = divide_folds(data, 5, seed=0)
    for fold in folds:
        train_part, held_out = fold.part("train"), fold.part("validation")
        assert not {image.sha256 for image in train_part} & {image.sha256 for image in held_out}
        assert len(train_part) + len(held_out) == 340
        assert fold.part("test") == tuple(tests)
        shares = np.bincount([image.label for image in held_out], minlength=3) / len(held_out)
        assert np.abs(shares - 1 / 3).max() < 0.06
    assert sum(len(fold.part("validation")) for fold in folds) == 340
    assert divide_folds(data, 5, seed=0) == folds
    assert divide_folds(data, 5, seed=1) != folds


def test_too_few_distinct_images_for_the_folds() -> None:
    examples = [example(number, 0) for number in range(10)] + [
        example(20 + number, 1, content="ff") for number in range(10)
    ]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    with pytest.raises(UserError, match="class `b` has 1 distinct"):
        divide_folds(data, 3, seed=0)


def test_each_image_is_held_out_once_and_keeps_its_place() -> None:
    examples = [example(number, number % 2, split="train" if number % 4 else "validation") for number in range(40)]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    images = pooled(data)
    assert images == (*data.part("train"), *data.part("validation"))
    held_out = []
    for fold in divide_folds(data, 4, seed=3):
        # The order of the pooled images: masks over features are made from it.
        assert [image.path for image in fold.examples] == [image.path for image in images]
        held_out += [image.path for image in fold.part("validation")]
        assert (fold.root, fold.class_names) == (data.root, data.class_names)
    assert sorted(held_out) == sorted(image.path for image in images)


def test_a_class_that_falls_into_one_fold_is_named() -> None:
    contents = [("1", 0, 20), ("2", 1, 20), ("3", 0, 3), ("3", 1, 20)]
    images = [(content, label) for content, label, count in contents for _ in range(count)]
    examples = [example(number, label, content=content) for number, (content, label) in enumerate(images)]
    data = Dataset(root="", origin="folders", class_names=("a", "b"), examples=tuple(examples))
    with pytest.raises(UserError, match="class `a`") as caught:
        divide_folds(data, 2, seed=0)
    assert "--folds" in caught.value.hint


def test_given_groups_are_held_out_whole_and_others_as_before() -> None:
    examples = [example(number, number % 3) for number in range(120)]
    data = Dataset(root="", origin="csv", class_names=CLASSES, examples=tuple(examples))
    # Each person is in every class; the copy of an image joins two of them.
    grouped = [replace(image, group=f"p{number // 6}") for number, image in enumerate(examples)]
    grouped.append(replace(grouped[0], group="p19", path="copy"))
    folds = divide_folds(replace(data, examples=tuple(grouped)), 4, seed=0)
    for fold in folds:
        held_out = {image.group for image in fold.part("validation")}
        assert not held_out & {image.group for image in fold.part("train")}
        assert len(held_out & {"p0", "p19"}) != 1
    assert sum(len(fold.part("validation")) for fold in folds) == 121


def test_near_duplicates_are_held_out_together() -> None:
    examples = tuple(example(number, number % 2) for number in range(40))
    joined = tuple(
        replace(image, near_duplicate=examples[place % 8].sha256) if place < 16 else image
        for place, image in enumerate(examples)
    )
    dataset = Dataset(root="", origin="folders", class_names=("a", "b"), examples=joined)
    folds = divide_folds(dataset, 4, seed=0)
    for fold in folds:
        parts = [image.split for image in fold.examples]
        assert all(parts[place] == parts[place + 8] for place in range(8))
    assert describe_groups(dataset) == (
        "40 images in 32 groups (identical, or alike by their edges), each of them in one fold"
    )
    assert describe_groups(replace(dataset, examples=examples)) is None
    given = tuple(replace(image, group="p") if number > 37 else image for number, image in enumerate(joined))
    assert describe_groups(replace(dataset, examples=given)) == (
        "40 images in 31 groups (of one `group`, identical, or alike by their edges), each of them in one fold"
    )
    alone = divide_folds(replace(dataset, examples=examples), 4, seed=0)
    assert any(fold.examples[0].split != fold.examples[8].split for fold in alone), "else it is by chance"


def test_too_few_groups_for_the_folds() -> None:
    examples = [example(number, number % 2) for number in range(40)]
    grouped = [replace(image, group=f"p{number % 2}{number % 3}") for number, image in enumerate(examples)]
    data = Dataset(root="", origin="csv", class_names=("a", "b"), examples=tuple(grouped))
    with pytest.raises(UserError, match="class `a` has 3 groups outside the test part, too few for 4 folds"):
        divide_folds(data, 4, seed=0)


def in_folds(labels: Sequence[int], groups: Sequence[int], count: int, seed: int = 0) -> Folds:
    """Divide, and check what holds for every division."""
    label_array, group_array = np.asarray(labels, np.int32), np.asarray(groups, np.intp)
    folds = group_folds(label_array, group_array, CLASSES, count=count, seed=seed)
    for group in set(groups):
        assert len(set(folds.fold_of[group_array == group].tolist())) == 1
    assert set(folds.fold_of.tolist()) - {-1} == set(range(folds.count))
    for fold in range(folds.count):
        assert set(label_array[folds.fold_of != fold].tolist()) == set(labels), "every class has training images"
    return folds


def test_groups_of_one_image_are_divided_evenly() -> None:
    labels = [0] * 53 + [1] * 20 + [2] * 7
    folds = in_folds(labels, range(80), 5)
    assert folds.note is None
    for label, size in enumerate((53, 20, 7)):
        held_out = np.bincount(folds.fold_of[np.asarray(labels) == label], minlength=5)
        assert set(held_out.tolist()) <= {size // 5, -(-size // 5)}
    assert np.ptp(np.bincount(folds.fold_of)) <= 2


@pytest.mark.parametrize("seed", range(5))
def test_unequal_groups_are_as_even_as_those_of_scikit_learn(seed: int) -> None:
    from sklearn.model_selection import StratifiedGroupKFold

    rng = np.random.default_rng(seed)
    sizes = rng.geometric(0.25, 150) + np.where(rng.random(150) < 0.05, 30, 0)
    groups = np.repeat(np.arange(150), sizes)
    labels = np.repeat(rng.choice(3, 150, p=(0.6, 0.3, 0.1)), sizes)
    folds = in_folds(labels.tolist(), groups.tolist(), 5, seed)
    theirs = np.empty_like(groups)
    division = StratifiedGroupKFold(5, shuffle=True, random_state=seed).split(labels, labels, groups)
    for fold, (_, held_out) in enumerate(division):
        theirs[held_out] = fold

    def unevenness(fold_of: np.ndarray[tuple[int], np.dtype[np.intp]]) -> float:
        shares = [np.bincount(fold_of[labels == label], minlength=5) / (labels == label).sum() for label in range(3)]
        return float(np.square(np.asarray(shares) - 0.2).sum())

    assert unevenness(folds.fold_of) <= unevenness(theirs) + 1e-4
    for label in range(3):
        held_out = np.bincount(folds.fold_of[labels == label], minlength=5)
        # Each group went into the least of the folds: no two differ by more than the largest group.
        assert held_out.max() - held_out.min() <= sizes.max()


def test_folds_of_small_classes_have_as_many_images() -> None:
    # Ten classes of two groups, one three times the other: the larger ones must not meet in one fold.
    labels, groups = np.repeat(np.arange(10), 4), np.repeat(np.arange(20), [3, 1] * 10)
    folds = in_folds(labels.tolist(), groups.tolist(), 2)
    assert np.bincount(folds.fold_of).tolist() == [20, 20]


def test_a_small_class_counts_as_much_as_a_large_one() -> None:
    # Beside the first group, the third would make the large class more even, 21 to 13, and the small one less, 5 to 1.
    sizes = {(0, 0): 11, (1, 0): 3, (0, 1): 13, (0, 2): 10, (1, 2): 2, (1, 3): 1}  # (class, group) -> images
    labels = [label for (label, _), count in sizes.items() for _ in range(count)]
    groups = [group for (_, group), count in sizes.items() for _ in range(count)]
    folds = in_folds(labels, groups, 2)
    assert sorted(np.bincount(folds.fold_of[np.asarray(labels) == 1]).tolist()) == [3, 3]


def test_groups_with_images_of_several_classes_stay_together() -> None:
    rng = np.random.default_rng(1)
    groups = rng.integers(40, size=400)
    labels = rng.integers(3, size=400)
    folds = in_folds(labels.tolist(), groups.tolist(), 5)
    assert (folds.count, folds.note) == (5, None)
    for label in range(3):
        shares = np.bincount(folds.fold_of[labels == label]) / (labels == label).sum()
        assert np.abs(shares - 0.2).max() < 0.05


def test_a_class_of_few_groups_has_as_many_folds() -> None:
    labels = [0] * 12 + [1] * 6
    folds = in_folds(labels, [*range(12), 12, 12, 13, 13, 14, 14], 5)
    assert folds.count == 3
    assert folds.note == "3 folds instead of 5: `square` has 3 groups of look-alikes"
    assert sorted(folds.fold_of[12:].tolist()) == [0, 0, 1, 1, 2, 2]
    assert np.bincount(folds.fold_of[:12]).tolist() == [4, 4, 4]
    assert in_folds(labels, [*range(12), 12, 12, 13, 13, 14, 14], 3).note is None


def test_the_only_group_of_a_class_is_held_out_by_no_fold() -> None:
    folds = in_folds([0] * 10 + [1] * 3, [*range(10), 10, 10, 10], 5)
    assert folds.count == 5
    assert folds.fold_of[10:].tolist() == [-1, -1, -1]
    assert (folds.fold_of[:10] >= 0).all()
    assert folds.note == (
        "3 images held out by no fold: without their group of look-alikes there is none of `square` to train on"
    )


def test_three_groups_that_no_two_folds_hold() -> None:
    # Each class is in two of the three groups: with two folds, two groups share one, and the class of both.
    folds = in_folds([0, 0, 1, 1, 2, 2], [0, 1, 1, 2, 2, 0], 4)
    assert folds.count == 2
    assert folds.note is not None
    assert folds.note.startswith("2 folds instead of 4: `circle`, `square`, `triangle` have 2 groups of look-alikes; 2")
    assert (folds.fold_of < 0).sum() == 2


def test_images_that_cannot_be_divided_at_all() -> None:
    folds = in_folds([0, 0, 1, 1], [0, 0, 1, 1], 5)
    assert (folds.count, folds.fold_of.tolist()) == (0, [-1] * 4)
    assert folds.note == (
        "0 folds instead of 5; 4 images held out by no fold: without their group of look-alikes there is none of "
        "`circle`, `square` to train on"
    )
    # One person in every class, and one more image: one fold is all there is.
    folds = in_folds([0, 1, 2, 0], [0, 0, 0, 1], 5)
    assert (folds.count, folds.fold_of.tolist()) == (1, [-1, -1, -1, 0])


@pytest.mark.parametrize("seed", range(20))
def test_any_division_leaves_every_class_to_train_on(seed: int) -> None:
    rng = np.random.default_rng(seed)
    num_images = int(rng.integers(3, 30))
    labels = rng.integers(3, size=num_images)
    in_folds(
        labels.tolist(), rng.integers(rng.integers(1, 12), size=num_images).tolist(), int(rng.integers(2, 6)), seed
    )


def test_the_seed_decides_the_division_and_nothing_else_does() -> None:
    labels, groups = [0, 1, 2] * 40, [number // 2 for number in range(120)]
    first = in_folds(labels, groups, 5)
    assert in_folds(labels, groups, 5).fold_of.tolist() == first.fold_of.tolist()
    assert in_folds(labels, groups, 5, seed=1).fold_of.tolist() != first.fold_of.tolist()
