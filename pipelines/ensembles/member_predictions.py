"""What is joined: models that are trained, what they answer, and the images that is about."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from models.fusing import Columns
from pipelines.ensembles.selection import Budget
from pipelines.runs.examples import Example
from pipelines.runs.manifest import Manifest

if TYPE_CHECKING:
    import keras

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedMember:
    """One model that is to be joined.

    Attributes:
        name: of it.
        folder: of its run.
        manifest: of it.
        model: of it.
        columns: its own number of each class of the ensemble; None for a class that it does not know.
        fold: that validated it.
        test: (images, classes) what it answers on the test images, in the ensemble's classes.
    """

    name: str
    folder: Path
    manifest: Manifest
    model: keras.Model
    columns: Columns
    fold: int | None
    test: Floats


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemberPredictions:
    """What gets one weight: a model, or the models of all folds, which answer for each other's images.

    Attributes:
        name: of it.
        models: one, or one a fold.
        answers: (images, classes) on the images that the weights are fitted on.
        folds: (images,) the fold that held each of them out; None without folds.
    """

    name: str
    models: tuple[LoadedMember, ...]
    answers: Floats
    folds: NDArray[np.int64] | None = None

    @property
    def test(self) -> Floats:
        """(images, classes) on the test images."""
        return np.mean([each.test for each in self.models], axis=0)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRequest:
    """How members are to be joined.

    Attributes:
        method: a name of `pipelines.ensembles.methods.METHODS`.
        budget: what the ensemble may cost.
        seed: of what is drawn.
        votes: weights of the voters, given by boosting, for the method `vote`; None for equal ones.
    """

    method: str = "greedy"
    budget: Budget = Budget()  # noqa: RUF009  frozen
    seed: int = 0
    votes: tuple[float, ...] | None = None


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """What an ensemble is fitted and judged on.

    Attributes:
        fit: images that no member was trained on.
        test: images that decided nothing; may be empty.
        every: all images with the part that they had for the members.
        class_names: that the labels index.
    """

    fit: tuple[Example, ...]
    test: tuple[Example, ...]
    every: tuple[Example, ...]
    class_names: tuple[str, ...]
