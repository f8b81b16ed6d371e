"""Tests whether the class can be told from what is not content, and which trait carries it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Doubles, Labels
from models.machine import count_cores
from pipelines.audit.audited_images import AuditedImage
from pipelines.audit.file_traits import TraitColumns, trait_columns
from pipelines.audit.findings import ShortcutTest, TraitShare

if TYPE_CHECKING:
    from sklearn.ensemble import ExtraTreesClassifier

FOLDS = 5
TREES = 60
LEAST_OF_CLASS = 10  # images: of fewer, no recall is worth an interval
MOST_IMAGES = 4000  # more tell no better whether there is a shortcut, and take longer
FEW_IMAGES = 1000
SHUFFLES = 2000
# Claimed where fewer than one in a hundred shuffles is as good, and the gain over chance is this share of all there is
# to gain: less would be no way for a network to be right.
LEAST_P, LEAST_GAIN = 0.01, 0.05
STRONG_GAIN = 0.5  # of all there is to gain
LISTED = 3  # traits
REPEATS = 2  # shuffles of one trait


def find_shortcuts(images: Sequence[AuditedImage], groups: Sequence[str]) -> ShortcutTest | None:
    """Test whether classes can be told by the traits of their files, with one image of each group of near duplicates.

    A forest of each fold tells the images of the others; the accuracy is that of images which it was not fitted to.

    Args:
        images: distinct.
        groups: (images,) names of groups of near duplicates, of which one image counts.

    Returns:
        The test; None where fewer than two classes have `LEAST_OF_CLASS` images, or no trait differs.
    """
    chosen = _choose(images, groups)
    labels = np.asarray([image.file.label for image in chosen], np.int32)
    if len(np.unique(labels)) < 2:
        return None
    labels = np.unique(labels, return_inverse=True)[1].astype(np.int32)
    traits = trait_columns(chosen, labels)
    if not traits.columns_of:
        return None
    return judge_traits(traits, labels)


def judge_traits(traits: TraitColumns, labels: Labels) -> ShortcutTest:
    """The test on columns.

    Args:
        traits: of the images.
        labels: (images,) their classes, numbered from 0 without a gap; each has at least `FOLDS` images.
    """
    folds = _divide(traits.values, labels)
    forests = [_fit(traits.values[fitted], labels[fitted]) for fitted, _ in folds]
    answers = _answer(forests, folds, traits.values)
    accuracy = _balanced(answers, labels)
    num_classes = int(labels.max()) + 1
    p_value = _shuffled_share(answers, labels, accuracy)
    gain = (accuracy - 1 / num_classes) / (1 - 1 / num_classes)
    is_claimed = p_value < LEAST_P and gain > LEAST_GAIN
    return ShortcutTest(
        images=len(labels),
        accuracy=accuracy,
        interval=_interval(answers, labels),
        chance=1 / num_classes,
        p_value=p_value,
        is_claimed=is_claimed,
        is_strong=is_claimed and gain > STRONG_GAIN,
        traits=_carriers(traits, labels, forests, folds, accuracy) if is_claimed else (),
    )


def _choose(images: Sequence[AuditedImage], groups: Sequence[str]) -> list[AuditedImage]:
    """One image of each group, of classes that are large enough; at most `MOST_IMAGES`, the same share of each."""
    first = {group: image for image, group in zip(reversed(images), reversed(groups), strict=True)}
    rest = list(first.values())
    np.random.default_rng(0).shuffle(rest)
    of_class: dict[int, list[AuditedImage]] = {}
    for image in rest:
        of_class.setdefault(image.file.label, []).append(image)
    share = min(1.0, MOST_IMAGES / max(len(rest), 1))
    large = [same for same in of_class.values() if len(same) >= LEAST_OF_CLASS]
    return [image for same in large for image in same[: max(LEAST_OF_CLASS, round(share * len(same)))]]


Fold = tuple[Labels, Labels]


def _divide(values: Doubles, labels: Labels) -> list[Fold]:
    from sklearn.model_selection import StratifiedKFold

    return list(StratifiedKFold(FOLDS, shuffle=True, random_state=0).split(values, labels))


def _fit(values: Doubles, labels: Labels) -> ExtraTreesClassifier:
    from sklearn.ensemble import ExtraTreesClassifier

    forest = ExtraTreesClassifier(
        TREES,
        min_samples_leaf=2,
        class_weight="balanced",
        random_state=0,
        # Threads are handed out for each forest: of few images they take longer than its trees.
        n_jobs=min(count_cores(), 8) if len(values) > FEW_IMAGES else 1,
    )
    return forest.fit(values, labels)


def _answer(forests: Sequence[ExtraTreesClassifier], folds: Sequence[Fold], values: Doubles) -> Labels:
    answers = np.zeros(len(values), np.int32)
    for forest, (_, held_out) in zip(forests, folds, strict=True):
        answers[held_out] = forest.predict(values[held_out])
    return answers


def _balanced(answers: Labels, labels: Labels) -> float:
    """The mean of the classes' recalls."""
    counts = np.bincount(labels)
    return float(np.mean(np.bincount(labels, weights=answers == labels, minlength=len(counts)) / counts))


def _interval(answers: Labels, labels: Labels) -> tuple[float, float]:
    """The 95 % interval of balanced accuracy, from binomial recalls with Agresti and Coull's two of each."""
    counts = np.bincount(labels)
    hits = np.bincount(labels, weights=answers == labels, minlength=len(counts))
    share = (hits + 2) / (counts + 4)
    deviation = float(np.sqrt((share * (1 - share) / (counts + 4)).sum())) / len(counts)
    middle = float(np.mean(hits / counts))
    return max(0.0, middle - 1.96 * deviation), min(1.0, middle + 1.96 * deviation)


def _shuffled_share(answers: Labels, labels: Labels, accuracy: float) -> float:
    """The share of shuffled labels with which the same answers are at least as accurate."""
    rng = np.random.default_rng(0)
    counts = np.bincount(labels)
    weights = 1 / counts[labels] / len(counts)
    # Shuffling answers against labels is shuffling labels against answers; weights stay with their labels.
    better = sum(float(weights[rng.permutation(answers) == labels].sum()) >= accuracy for _ in range(SHUFFLES))
    return (better + 1) / (SHUFFLES + 1)


def _carriers(
    traits: TraitColumns,
    labels: Labels,
    forests: Sequence[ExtraTreesClassifier],
    folds: Sequence[Fold],
    accuracy: float,
) -> tuple[TraitShare, ...]:
    """The traits that carry a shortcut: what each tells alone, and what is lost without it."""
    rng = np.random.default_rng(0)
    shares = []
    for trait, columns in traits.columns_of.items():
        lost = []
        for _ in range(REPEATS):
            values = traits.values.copy()
            values[:, columns] = values[rng.permutation(len(values))][:, columns]
            lost.append(accuracy - _balanced(_answer(forests, folds, values), labels))
        alone = traits.values[:, columns]
        single = [_fit(alone[fitted], labels[fitted]) for fitted, _ in folds]
        told = _balanced(_answer(single, folds, alone), labels)
        shares.append(TraitShare(trait=trait, alone=told, drop=float(np.mean(lost))))
    shares.sort(key=lambda share: -share.alone)
    chance = 1 / (int(labels.max()) + 1)
    return tuple(share for share in shares if share.alone - chance > LEAST_GAIN * (1 - chance))[:LISTED]
