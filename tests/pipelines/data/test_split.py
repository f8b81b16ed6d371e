"""The division by content: stable, stratified, copies together, small classes put right with the fewest moves."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace

import pytest

from models.errors import UserError
from pipelines.data.listing import ListedFile
from pipelines.data.near_duplicates import NearDuplicates
from pipelines.data.split import divide, position
from pipelines.runs.examples import Split


def image(label: int, number: int, split: Split | None = None) -> tuple[ListedFile, str]:
    sha256 = hashlib.sha256(f"{label} {number}".encode()).hexdigest()
    return ListedFile(path=f"/{label}/{number}.jpg", label=label, split=split), sha256


def grouped(label: int, number: int, group: str | None, split: Split | None = None) -> tuple[ListedFile, str]:
    file, sha256 = image(label, number, split)
    return replace(file, group=group), sha256


def name_with(start: float, end: float, prefix: str = "person") -> str:
    """A name whose SHA-256, read as a fraction, is between two numbers."""
    for number in range(10_000):
        digest = hashlib.sha256(f"{prefix} {number}".encode()).hexdigest()
        if start <= int(digest[:8], 16) / 2**32 < end:
            return f"{prefix} {number}"
    raise AssertionError("no such name")


def at(label: int, u: float, name: str = "", split: Split | None = None) -> tuple[ListedFile, str]:
    """An image whose hash falls on `u`."""
    sha256 = f"{int(u * 2**64):016x}" + "0" * 48
    return ListedFile(path=f"/{label}/{name or u}.jpg", label=label, split=split), sha256


def test_position_is_the_start_of_the_hash_and_below_one() -> None:
    assert position("8" + "0" * 63) == 0.5
    assert position("f" * 64) < 1.0


def test_parts_are_80_10_10_in_each_class() -> None:
    images = [image(label, number) for label in range(3) for number in range(2000)]
    parts, remarks = divide(images, ["a", "b", "c"])
    counts = Counter((file.label, part) for (file, _), part in zip(images, parts, strict=True))
    for label in range(3):
        # Four standard deviations of a binomial with n = 2000.
        assert abs(counts[label, "train"] - 1600) < 72
        assert abs(counts[label, "validation"] - 200) < 54
        assert abs(counts[label, "test"] - 200) < 54
    assert remarks == []


def test_adding_and_renaming_images_moves_none_and_order_does_not_matter() -> None:
    few = [image(label, number) for label in range(2) for number in range(100)]
    more = [image(label, number) for label in range(3) for number in range(300)]
    before = dict(zip((sha for _, sha in few), divide(few, ["a", "b"])[0], strict=True))
    after = dict(zip((sha for _, sha in reversed(more)), divide(more[::-1], ["a", "b", "c"])[0], strict=True))
    assert all(after[sha256] == part for sha256, part in before.items())


def test_borders_belong_to_the_part_above() -> None:
    images = [at(0, u) for u in (0.0, 0.75, 0.8125, 0.875, 0.90625, 0.99)]
    parts, _ = divide(images, ["a"])
    assert parts == ["train", "train", "validation", "validation", "test", "test"]


def test_a_small_class_moves_the_nearest_image_and_says_so() -> None:
    images = [at(0, 0.1), at(0, 0.5), at(0, 0.78), at(0, 0.79), *(image(1, number) for number in range(100))]
    parts, remarks = divide(images, ["small", "large"])
    # First validation takes 0.79, then test the nearest of what is left.
    assert parts[:4] == ["train", "train", "test", "validation"]
    alone = [(ListedFile(path=file.path, label=0, split=None), sha256) for file, sha256 in images[4:]]
    assert parts[4:] == divide(alone, ["large"])[0]
    assert remarks == ["2 images of small classes were moved so that each part has every class: `small`"]


def test_a_single_moved_image_is_named_in_the_singular() -> None:
    images = [at(0, 0.1), at(0, 0.5), at(0, 0.95), *(image(1, number) for number in range(100))]
    _, remarks = divide(images, ["small", "large"])
    assert remarks == ["1 image of small classes was moved so that each part has every class: `small`"]


def test_a_class_far_from_train_gets_an_image_there() -> None:
    parts, _ = divide([at(0, 0.85), at(0, 0.95), at(0, 0.96)], ["a"])
    assert sorted(parts) == ["test", "train", "validation"]
    parts, _ = divide([at(0, 0.95), at(0, 0.96), at(0, 0.97)], ["a"])
    assert sorted(parts) == ["test", "train", "validation"]


def test_copies_stay_together_also_when_moved_and_across_classes() -> None:
    images = [at(0, 0.1), at(0, 0.2), at(0, 0.79), at(0, 0.79, "copy"), at(1, 0.79, "other")]
    images += [at(1, u) for u in (0.3, 0.4, 0.85, 0.95)]
    parts, remarks = divide(images, ["a", "b"])
    assert len(set(parts[2:5])) == 1
    for label in range(2):
        present = {part for (file, _), part in zip(images, parts, strict=True) if file.label == label}
        assert present == {"train", "validation", "test"}
    assert any("1 image with identical copies in two classes" in line and "/0/0.79.jpg" in line for line in remarks)


@pytest.mark.parametrize("count", [1, 2])
def test_too_few_distinct_images_name_the_class(count: int) -> None:
    images = [*(image(0, number) for number in range(20)), *(at(1, 0.1 * number) for number in range(count))]
    images.append(at(1, 0.0, "copy"))
    with pytest.raises(UserError, match=f"class `b` has {count} distinct image") as caught:
        divide(images, ["a", "b"])
    assert caught.value.hint


def test_classes_with_the_same_images_get_them_in_the_same_parts() -> None:
    images = [at(label, u) for label in range(2) for u in (0.1, 0.2, 0.3)]
    parts, _ = divide(images, ["a", "b"])
    assert parts[:3] == parts[3:]
    assert len(set(parts[:3])) == 3


def test_classes_too_entangled_to_divide_are_refused() -> None:
    # Four contents in four classes of three: any two contents share a class, so that no part can hold two.
    images = [at(label, u) for label in range(4) for number, u in enumerate((0.1, 0.2, 0.3, 0.4)) if number != label]
    with pytest.raises(UserError, match="appear in other classes as well"):
        divide(images, ["a", "b", "c", "d"])


def test_given_parts_are_kept_and_no_test_part_is_made() -> None:
    images = [at(0, 0.95, "1", "train"), at(0, 0.1, "2", "validation")]
    assert divide(images, ["a"]) == (["train", "validation"], [])


def test_a_missing_validation_part_is_carved_out_of_train() -> None:
    images = [image(0, number, "train") for number in range(1000)] + [
        image(0, number, "test") for number in range(1000, 1200)
    ]
    parts, remarks = divide(images, ["a"])
    assert set(parts[1000:]) == {"test"}
    assert 60 < parts[:1000].count("validation") < 140
    assert parts[:1000].count("train") == 1000 - parts[:1000].count("validation")
    assert "no validation part is given" in remarks[0]
    # The same images are the validation part when nothing is given.
    undivided, _ = divide([image(0, number) for number in range(1000)], ["a"])
    assert all((one == "validation") == (other == "validation") for one, other in zip(parts, undivided, strict=False))


def test_an_image_in_two_given_parts_is_reported() -> None:
    images = [at(0, 0.1, "1", "train"), at(0, 0.1, "2", "test"), at(0, 0.2, "3", "validation")]
    _, remarks = divide(images, ["a"])
    assert remarks == ["1 image with identical copies in two parts, such as `/0/1.jpg` (train) and `/0/2.jpg` (test)"]


def test_a_given_part_that_lacks_classes_gets_a_remark() -> None:
    images = [at(0, 0.1, "1", "train"), at(1, 0.2, "2", "train"), at(0, 0.3, "3", "validation")]
    parts, remarks = divide(images, ["a", "b"])
    assert parts == ["train", "train", "validation"]
    (remark,) = remarks
    assert remark.startswith("the validation part has images of 1 of 2 classes, none of `b`")


def test_a_class_without_a_readable_training_image_is_named() -> None:
    images = [at(0, 0.1, "1", "train"), at(1, 0.2, "2", "validation"), at(0, 0.3, "3", "validation")]
    with pytest.raises(UserError, match="class `b` has no readable image in the part `train`"):
        divide(images, ["a", "b"])


def test_ten_thousand_small_classes_take_a_moment() -> None:
    images = [image(label, number) for label in range(10_000) for number in range(3)]
    parts, _ = divide(images, [str(label) for label in range(10_000)])
    present = {(file.label, part) for (file, _), part in zip(images, parts, strict=True)}
    assert len(present) == 30_000


def test_a_given_group_lies_in_the_part_of_its_name_whatever_the_classes() -> None:
    names = {"train": name_with(0.0, 0.8), "validation": name_with(0.8, 0.9), "test": name_with(0.9, 1.0)}
    images = [
        grouped(number % 2, 1000 + number, name)
        for name, first in zip(names.values(), (0, 20, 40), strict=True)
        for number in range(first, first + 20)
    ]
    images += [image(label, number) for label in range(2) for number in range(100, 400)]
    parts, remarks = divide(images, ["a", "b"])
    assert parts[:60] == ["train"] * 20 + ["validation"] * 20 + ["test"] * 20
    # Images without a group go by their content as before; and adding some to a group moves none.
    assert parts[60:] == divide(images[60:], ["a", "b"])[0]
    more = [grouped(0, number, names["test"]) for number in range(2000, 2100)]
    assert divide([*images, *more], ["a", "b"])[0] == [*parts, *["test"] * 100]
    assert remarks[-1] == "660 images in 603 groups (of one `group`, or identical), each of them in one part"


def test_parts_of_groups_are_80_10_10() -> None:
    images = [grouped(label, number, f"{label} {number // 2}") for label in range(2) for number in range(4000)]
    parts, _ = divide(images, ["a", "b"])
    assert all(one == other for one, other in zip(parts[::2], parts[1::2], strict=True))
    counts = Counter((file.label, part) for (file, _), part in zip(images[::2], parts[::2], strict=True))
    for label in range(2):
        # Four standard deviations of a binomial with n = 2000.
        assert abs(counts[label, "train"] - 1600) < 72
        assert abs(counts[label, "test"] - 200) < 54


def test_a_copy_in_two_groups_joins_them() -> None:
    first, second = name_with(0.0, 0.8, "a"), name_with(0.9, 1.0, "b")
    images = [image(0, number) for number in range(100)]
    images += [grouped(0, 200, first), grouped(0, 201, first), grouped(0, 202, second), grouped(0, 201, second)]
    parts, _ = divide(images, ["a"])
    assert parts[-4:] == ["train"] * 4
    assert divide(images[:-1], ["a"])[0][-3:] == ["train", "train", "test"]


def test_a_group_moves_as_a_whole_into_a_part_that_lacks_its_class() -> None:
    near, far = name_with(0.76, 0.8), name_with(0.1, 0.2)
    tests = name_with(0.9, 1.0)
    images = [grouped(0, number, (near, far, tests)[number // 3]) for number in range(9)]
    parts, remarks = divide(images, ["a"])
    assert parts == ["validation"] * 3 + ["train"] * 3 + ["test"] * 3
    assert remarks[-1] == "1 group of small classes was moved so that each part has every class: `a`"


def test_a_class_of_too_few_groups_is_named() -> None:
    images = [image(0, number) for number in range(20)] + [grouped(1, number, f"p{number % 2}") for number in range(20)]
    with pytest.raises(UserError, match="class `b` has 2 groups, and 3 are needed, one for each of train") as caught:
        divide(images, ["a", "b"])
    assert "other groups" in caught.value.hint


def test_groups_too_entangled_to_divide_are_refused() -> None:
    images = [
        grouped(label, 4 * label + person, f"p{person}") for label in range(4) for person in range(4) if person != label
    ]
    with pytest.raises(UserError, match="too many of its groups have images of other classes as well"):
        divide(images, ["a", "b", "c", "d"])


def test_a_group_in_two_given_parts_is_reported() -> None:
    images = [grouped(0, 1, "p", "train"), grouped(0, 2, "p", "test"), grouped(0, 3, None, "validation")]
    assert divide(images, ["a"]) == (
        ["train", "test", "validation"],
        ["1 group with images in two parts, such as `p` (train and test)"],
    )


def test_a_missing_validation_part_is_made_of_whole_groups() -> None:
    images = [grouped(0, number, f"p{number // 10}", "train") for number in range(1000)]
    images += [grouped(0, number, f"q{number}", "test") for number in range(1000, 1100)]
    parts, remarks = divide(images, ["a"])
    assert all(len(set(parts[start : start + 10])) == 1 for start in range(0, 1000, 10))
    assert 0 < parts.count("validation") < 300
    assert remarks[0] == "1,000 images in 100 groups (of one `group`, or identical), each of them in one part"


def test_copies_are_counted_as_groups() -> None:
    images = [image(0, number) for number in range(100)] * 2
    assert divide(images, ["a"])[1] == ["200 images in 100 groups (identical), each of them in one part"]


def test_near_duplicates_go_together_by_the_first_of_their_hashes() -> None:
    images = [at(0, number / 100) for number in range(100)]
    joined = {0.15: 0.05, 0.95: 0.05, 0.05: 0.05, 0.83: 0.82, 0.82: 0.82}  # image -> the one that stands for it
    stand_in = [at(0, joined[number / 100])[1] if number / 100 in joined else None for number in range(100)]
    near = NearDuplicates(stand_in=tuple(stand_in), way="alike")
    parts, remarks = divide(images, ["a"], near)
    alone, _ = divide(images, ["a"])
    assert alone[95] == "test" and parts[95] == "train"
    assert [place for place in range(100) if parts[place] != alone[place]] == [95]
    assert remarks == ["100 images in 97 groups (identical, or alike), each of them in one part"]
    # A given test part stays; what is taken for validation keeps near duplicates together.
    given = [
        (replace(file, split="test" if number >= 90 else "train"), sha) for number, (file, sha) in enumerate(images)
    ]
    moved = replace(near, stand_in=(*stand_in[:70], *[at(0, 0.7)[1]] * 20, *[None] * 10))
    parts, remarks = divide(given, ["a"], moved)
    assert parts[90:] == ["test"] * 10
    assert len(set(parts[70:90])) == 1
    assert "identical, or alike" in remarks[0]
