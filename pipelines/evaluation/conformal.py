"""Sets of classes that hold the true one as often as was promised: split conformal prediction.

The score of an image is one less the probability of its true class (LAC: Sadinle, Lei and Wasserman 2019, "Least
ambiguous set-valued classifiers with bounded error levels"). A set holds every class whose probability reaches the
level that the wanted share of calibration images reaches with its true class, corrected for their number; and the most
probable class in any case, so that no set is empty. Where calibration and new images are exchangeable and one fixed
model predicts both, a new image's set holds its class with at least the wanted probability: on average over classes,
not within each. On ten classes of clothing, sets for 0.9 hold the true class of 0.91 of the images, but 0.78 of those
of the hardest class; with levels of the classes' own it is 0.90 or more in each, and 1.15 instead of 1.02 classes a
set. Adaptive sets (APS: Romano, Sesia and Candes 2020) had 1.19 classes and 5 % empty sets there, or 4.6 classes
without their random number. Where the model is right more often than was asked for, sets cover more than that.

Calibration images of a run are those of its validation part, or all but the test part, out of fold. Out of fold, the
model that predicts is not the one that was calibrated: it is fitted to all folds. Barber, Candes, Ramdas and Tibshirani
2021 ("Predictive inference with the jackknife+") guarantee only 1 - 2 (1 - coverage) for such predictions, and only if
the models of the folds predict, too (CV+); one refitted model has no guarantee at all where it is unstable. In practice
it is somewhat better than the folds' models, and the sets cover slightly more than was asked for. Where the validation
part chose the model, the choice was made in its favour, and the sets cover slightly less.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from models.arrays import Flags, Labels, Probabilities
from models.errors import UserError
from pipelines.evaluation.saved_predictions import SavedPredictions, read_held_out
from pipelines.runs.manifest import Manifest
from pipelines.runs.score_basis import Basis, basis_of
from pipelines.system.text import counted, name_list

# What the calibration images were to the model, in words.
_BASES: dict[Basis, str] = {
    "test": "that chose nothing",
    "out of fold": "each predicted out of fold",
    "given": "of the validation part and, out of fold, of the training part",
    "chose the head": "of the validation part, which chose the head, and, out of fold, of the training part",
    "chose the model": "of the validation part, which chose the model",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class SetRule:
    """How the sets of a run are made.

    Attributes:
        coverage: share of images whose set holds the true class, as promised, in (0, 1).
        least: (classes,) probability that each class needs to be in a set, in [0, 1]; 0 for a class that is in all.
        images: number of calibration images.
        basis: what they were to the model, in words.
        is_by_class: whether the coverage is promised within each class, and each has a level of its own.
        always: the classes that are in all sets, because they have too few calibration images.
    """

    coverage: float
    least: tuple[float, ...]
    images: int
    basis: str
    is_by_class: bool = False
    always: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """What the sets stand on, for people."""
        images, low, high = f"{counted(self.images, 'image')} {self.basis}", min(self.least), max(self.least)
        if not self.is_by_class:
            return f"sets: every class of probability {low:.3f} or more, by {images}"
        line = f"sets: every class from a probability of its own on, {low:.3f} to {high:.3f}, by {images}"
        if self.always:
            verb = "is" if len(self.always) == 1 else "are"
            line += f"; {name_list(self.always)} {verb} in every set: too few images for this coverage"
        return line

    def holds(self, probabilities: Probabilities) -> Flags:
        """Whether each class is in the set of each image: (images, classes), of probabilities of the same shape."""
        held: Flags = probabilities >= np.asarray(self.least, np.float32)
        held[np.arange(len(probabilities)), probabilities.argmax(1)] = True
        return held


def set_rule(run: str, manifest: Manifest, coverage: float, *, is_by_class: bool = False) -> SetRule:
    """The rule of a run's sets, from its saved predictions of images that it was not fitted to.

    Args:
        run: folder of the run.
        manifest: of the run.
        coverage: wanted share of images whose set holds the true class, in (0, 1).
        is_by_class: promise it within each class (Vovk 2012: Mondrian prediction), for larger sets.

    Raises:
        UserError: the run has no such predictions, or too few for the coverage.
    """
    require_coverage(coverage)
    saved = read_held_out(run)
    if saved is None:
        raise UserError(
            f"`{run}` has no predictions to make sets by: its `answers.npz` is missing",
            "train it again, or leave --coverage away",
        )
    saved = _one_of_each(saved)
    num_classes = len(manifest.class_names)
    always: tuple[str, ...] = ()
    if is_by_class:
        least, always = _least_by_class(saved, coverage, manifest.class_names)
    else:
        least = (least_probability(saved.probabilities, saved.labels, coverage),) * num_classes
    return SetRule(
        coverage=coverage,
        least=least,
        images=len(saved.labels),
        basis=_BASES[basis_of(manifest, "validation")],
        is_by_class=is_by_class,
        always=always,
    )


def require_coverage(coverage: float) -> None:
    """Refuse a coverage that is not between 0 and 1.

    Raises:
        UserError: it is not.
    """
    if not 0 < coverage < 1:
        raise UserError(f"a coverage of {coverage:g} is not between 0 and 1", "such as `--coverage 0.9`")


def require_coverage_for_classes(coverage: float | None, *, is_by_class: bool) -> None:
    """Refuse a coverage within each class that is not named.

    Raises:
        UserError: `is_by_class` without a coverage.
    """
    if is_by_class and coverage is None:
        raise UserError("--per-class is about sets, which need a coverage", "such as `--coverage 0.9 --per-class`")


def refuse_sets_of_views(sets: SetRule | float | None) -> None:
    """Refuse sets of probabilities that are averaged over views: their calibration is of images as they are.

    Raises:
        UserError: `sets` is a rule or a coverage.
    """
    if sets is not None:
        raise UserError("--coverage is for images as they are, not averaged over views", "leave --tta or it away")


def least_probability(probabilities: Probabilities, labels: Labels, coverage: float) -> float:
    """The probability that a class needs to be in a set: the finite-sample quantile of split conformal prediction.

    Args:
        probabilities: (images, classes) of calibration images, by a model that was not fitted to them.
        labels: (images,) true classes.
        coverage: in (0, 1).

    Returns:
        The k-th greatest probability of a true class, with k = ceil((images + 1) coverage).

    Raises:
        UserError: there are too few images for the coverage: k exceeds their number.
    """
    count = len(labels)
    # A product such as 10 * 0.9 may come out a hair above the whole number that it is.
    rank = math.ceil((count + 1) * coverage - 1e-9)
    needed = images_needed(coverage)
    if rank > count:
        possible = math.floor(1000 * count / (count + 1)) / 1000
        raise UserError(
            f"a coverage of {coverage:g} needs {needed:,} images that the model was not fitted to, and the run has "
            f"{count:,}",
            f"ask for at most `--coverage {possible:g}`, or train with more images",
        )
    of_label = np.sort(probabilities[np.arange(count), labels])
    return float(of_label[count - rank])


def images_needed(coverage: float) -> int:
    """The least number of calibration images for a coverage in (0, 1): 9 for 0.9, 99 for 0.99."""
    return math.ceil(coverage / (1 - coverage) - 1e-9)


def _least_by_class(
    saved: SavedPredictions, coverage: float, class_names: Sequence[str]
) -> tuple[tuple[float, ...], tuple[str, ...]]:
    """The probability that each class needs, by its own images; and the classes that have too few and need none."""
    least, always = [], []
    for column, name in enumerate(class_names):
        own = saved.labels == column
        if own.sum() < images_needed(coverage):
            always.append(name)
            least.append(0.0)
        else:
            least.append(least_probability(saved.probabilities[own], saved.labels[own], coverage))
    return tuple(least), tuple(always)


def _one_of_each(saved: SavedPredictions) -> SavedPredictions:
    """Each image once, by its last row: that out of fold, where it has another one."""
    _, first_from_end = np.unique(saved.sha256[::-1], return_index=True)
    rows = np.sort(len(saved.sha256) - 1 - first_from_end)
    return SavedPredictions(
        sha256=saved.sha256[rows], labels=saved.labels[rows], probabilities=saved.probabilities[rows]
    )
