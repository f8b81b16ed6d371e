"""Divides a data set into the folds of cross-validation, stratified, with look-alikes in one fold."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from models.arrays import Indices, Labels
from models.errors import UserError
from pipelines.data.groups import keys_of_examples, say_ways
from pipelines.runs.examples import Dataset, Example
from pipelines.system.text import counted, name_list, one_line


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Folds:
    """A division into folds that keeps groups together.

    Attributes:
        fold_of: (images,) the fold that holds out each image, from 0; -1 where none does.
        count: number of folds; each of them holds out images. 0 where no image can be held out.
        note: what is not as asked for, for people; None where all is.
    """

    fold_of: Indices
    count: int
    note: str | None


def group_folds(labels: Labels, groups: Indices, class_names: Sequence[str], *, count: int, seed: int) -> Folds:
    """Divide images into folds, each group into one fold, the images of each class evenly over all folds.

    There are fewer folds than asked for where a class has fewer groups, but at least 2. Whichever fold is held out,
    the others have images of every class: a group without which its class would have none, such as the only group of
    a class, is held out by no fold.

    The largest groups come first, each into the fold with the least of its classes. scikit-learn's
    StratifiedGroupKFold does the same, but its time grows with classes x groups x folds.

    Args:
        labels: (images,) their classes.
        groups: (images,) number of each image's group, such as those of `pipelines.data.look_alikes`.
        class_names: indexed by the labels.
        count: number of folds, at least 2.
        seed: decides among groups of one size.
    """
    members: dict[int, Counter[int]] = defaultdict(Counter)  # group -> class -> images
    for label, group in zip(labels.tolist(), groups.tolist(), strict=True):
        members[group][label] += 1
    num_groups = Counter(label for classes in members.values() for label in classes)
    divisible = {label: number for label, number in num_groups.items() if number > 1}
    fewest = min(divisible.values(), default=count)
    division = _GroupDivision(members, num_groups, num_folds=min(count, fewest))
    order = np.random.default_rng(seed).permutation(sorted(members)).tolist()
    for group in sorted(order, key=lambda group: -members[group].total()):
        division.assign(group)
    # Where few groups can be held out, a fold may have got none.
    folds = sorted(set(division.fold_of.values()) - {-1})
    numbers = {-1: -1} | {fold: number for number, fold in enumerate(folds)}
    fold_of = np.asarray([numbers[division.fold_of[group]] for group in groups.tolist()], np.intp)
    notes = []
    if len(folds) < count:
        small = [class_names[label] for label, number in sorted(divisible.items()) if number == fewest < count]
        notes.append(f"{counted(len(folds), 'fold')} instead of {count}" + _because_of_few_groups(small, fewest))
    if division.kept:
        names = name_list(class_names[label] for label in sorted(division.kept))
        notes.append(
            f"{counted(int((fold_of < 0).sum()), 'image')} held out by no fold: without their group of look-alikes "
            f"there is none of {names} to train on"
        )
    return Folds(fold_of=fold_of, count=len(folds), note="; ".join(notes) or None)


def _because_of_few_groups(names: Sequence[str], fewest: int) -> str:
    """The classes with the fewest groups, as the end of a note; empty where there are none to name."""
    if not names:
        return ""
    return f": {name_list(names)} {'has' if len(names) == 1 else 'have'} {fewest} groups of look-alikes"


class _GroupDivision:
    """Assigns groups to folds, one after another.

    Attributes:
        fold_of: group -> its fold; -1 where none may hold it out.
        kept: the classes that would have no image to train on, had one of their groups been held out.
    """

    def __init__(self, members: Mapping[int, Counter[int]], num_groups: Mapping[int, int], *, num_folds: int) -> None:
        """Start with empty folds.

        Args:
            members: group -> class -> its images in the group.
            num_groups: class -> groups with images of it.
            num_folds: at least 2.
        """
        self.fold_of: dict[int, int] = {}
        self.kept: set[int] = set()
        self._members = members
        self._folds = range(num_folds)
        self._num_left = dict(num_groups)  # class -> its groups that are not assigned
        self._always_trained: set[int] = set()  # classes with images that no fold holds out
        self._loads = {label: [0] * num_folds for label in num_groups}  # class -> its images in each fold
        self._sizes = [0] * num_folds
        self._totals: Counter[int] = Counter()
        for classes in members.values():
            self._totals.update(classes)

    def assign(self, group: int) -> None:
        """Assign a group to the allowed fold that has the least of its classes, then the fewest images."""
        classes = self._members[group]
        lacking = [{label for label in classes if not self._leaves_images(label, fold)} for fold in self._folds]
        allowed = [fold for fold in self._folds if not lacking[fold]]
        for label in classes:
            self._num_left[label] -= 1
        if not allowed:
            self.fold_of[group] = -1
            self._always_trained.update(classes)
            self.kept.update(*lacking)
            return
        fold = min(allowed, key=lambda fold: (self._crowding(classes, fold), self._sizes[fold]))
        self.fold_of[group] = fold
        self._sizes[fold] += classes.total()
        for label, images in classes.items():
            self._loads[label][fold] += images

    def _leaves_images(self, label: int, fold: int) -> bool:
        """Whether a class has images outside of a fold after one of its groups goes into it."""
        is_elsewhere = sum(self._loads[label]) > self._loads[label][fold]
        return is_elsewhere or label in self._always_trained or self._num_left[label] > 1

    def _crowding(self, classes: Counter[int], fold: int) -> float:
        """How much uneven a fold would become: the growth of the sum of squared shares of each class, but a constant.

        A class of `total` images of which the fold has `load` grows by (2 * load * images + images ** 2) / total; the
        second term is that of every fold.
        """
        return sum(self._loads[label][fold] * images / self._totals[label] for label, images in classes.items())


def divide_folds(dataset: Dataset, count: int, *, seed: int) -> tuple[Dataset, ...]:
    """Give for each fold the data set with that fold as its validation part and the other folds as its training part.

    The test part stays as it is. Folds are stratified; images that are identical, near duplicates or of one given group
    stay together.

    Args:
        dataset: from `pipelines.data.check.check`.
        count: number of folds, at least 2.
        seed: of the division.

    Returns:
        One data set for each fold. Its examples are those of `pooled(dataset)`, in that order, then the test part.

    Raises:
        UserError: a class has fewer distinct images or groups than there are folds, or all its images fall into one
            fold.
    """
    # Inside: scikit-learn takes 0.7 s to import.
    from sklearn.model_selection import StratifiedGroupKFold

    examples = pooled(dataset)
    labels = np.asarray([example.label for example in examples])
    has_groups = any(example.group or example.near_duplicate for example in examples)
    keys = np.asarray(keys_of_examples(examples))
    for label, name in enumerate(dataset.class_names):
        kind = "groups" if has_groups else "distinct images"
        _require_distinct(name, len(set(keys[labels == label])), count, kind)
    folds = []
    for _, validation in StratifiedGroupKFold(count, shuffle=True, random_state=seed).split(keys, labels, keys):
        fold = _fold(dataset, examples, set(validation.tolist()))
        _require_every_class(fold)
        folds.append(fold)
    return tuple(folds)


def describe_groups(dataset: Dataset) -> str | None:
    """How many groups `divide_folds` keeps together, and how they were found; None where each is a single image."""
    examples = pooled(dataset)
    num_groups = len(set(keys_of_examples(examples)))
    if num_groups == len(examples):
        return None
    near = "alike by their edges" if any(example.near_duplicate for example in examples) else None
    said = say_ways(has_groups=any(example.group for example in examples), near=near)
    return f"{counted(len(examples), 'image')} in {counted(num_groups, 'group')} ({said}), each of them in one fold"


def pooled(dataset: Dataset) -> tuple[Example, ...]:
    """The images that are divided into folds: the training part, then the validation part."""
    return (*dataset.part("train"), *dataset.part("validation"))


def _fold(dataset: Dataset, examples: Sequence[Example], validation: set[int]) -> Dataset:
    """The data set whose validation part is `validation`, places in `examples`."""
    divided = [
        replace(example, split="validation" if place in validation else "train")
        for place, example in enumerate(examples)
    ]
    return replace(dataset, examples=(*divided, *dataset.part("test")))


def _require_distinct(name: str, distinct: int, count: int, kind: str) -> None:
    if distinct < count:
        raise UserError(
            f"class `{one_line(name)}` has {distinct} {kind} outside the test part, too few for {count} folds",
            f"give --folds {distinct} or fewer" if distinct > 1 else "add images of it, or omit --folds",
        )


def _require_every_class(fold: Dataset) -> None:
    trained = {example.label for example in fold.part("train")}
    for label, name in enumerate(fold.class_names):
        if label not in trained:
            raise UserError(
                f"all images of class `{one_line(name)}` fall into one fold, because it has too few distinct "
                "images or groups",
                "add distinct images of it, or omit --folds",
            )
