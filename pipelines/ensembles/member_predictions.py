"""The records that combining works on: loaded members, their predictions, and the images that these are of."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.arrays import Doubles, Indices, Labels, Probabilities
from models.fusing import Columns
from pipelines.ensembles.selection import Budget
from pipelines.runs.examples import Example
from pipelines.runs.manifest import Manifest

if TYPE_CHECKING:
    import keras

    from pipelines.ensembles.methods import Method


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class LoadedMember:
    """One trained model.

    Attributes:
        name: of the member.
        folder: of its run.
        manifest: of its run.
        model: pixels -> probabilities.
        columns: its column of each class of the ensemble; None for a class that it does not know.
        fold: that it was validated on; None without folds.
        test: (images, classes of the ensemble) probabilities on the test images.
    """

    name: str
    folder: Path
    manifest: Manifest
    model: keras.Model
    columns: Columns
    fold: int | None
    test: Probabilities | Doubles


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class MemberPredictions:
    """What gets one weight: a model, or the models of all folds, which predict each other's training images.

    Attributes:
        name: of the member, or of the group of folds.
        models: one, or one a fold.
        probabilities: (images, classes) on the images that the weights are fitted on.
        folds: (images,) the fold that held each of them out; None without folds.
    """

    name: str
    models: tuple[LoadedMember, ...]
    probabilities: Probabilities | Doubles
    folds: Indices | None = None

    @property
    def test(self) -> Probabilities | Doubles:
        """(images, classes) on the test images."""
        if len(self.models) == 1:
            return self.models[0].test
        return np.asarray(np.mean([model.test for model in self.models], axis=0, dtype=np.float64))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleRequest:
    """How members are to be combined.

    Attributes:
        method: an entry of `pipelines.ensembles.methods.METHODS`.
        name: of it.
        budget: what the ensemble may cost.
        seed: of what is drawn.
    """

    method: Method
    name: str
    budget: Budget = field(default=Budget())
    seed: int = 0


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Images:
    """The images that an ensemble is fitted and evaluated on.

    Attributes:
        fitted: images that no member was trained on; the weights are fitted on them.
        test: images that decided nothing; may be empty.
        all: every image with the part that it had for the members.
        class_names: that the labels index.
    """

    fitted: tuple[Example, ...]
    test: tuple[Example, ...]
    all: tuple[Example, ...]
    class_names: tuple[str, ...]


def labels_of(examples: tuple[Example, ...]) -> Labels:
    """(images,) labels."""
    return np.asarray([example.label for example in examples], np.int32)
