"""Extracts the features that all members on one backbone share, once, and hands each member its part of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.heads import HEADS
from pipelines.data.folds import pooled
from pipelines.features.cached import CLEAN, Features
from pipelines.features.extract import Extracted, extract
from pipelines.features.subset import FeatureSubset
from pipelines.members.spec import file_names
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.models import save_keras
from pipelines.training.backbone import LazyBackbone
from pipelines.training.feature_layers import find_layers
from pipelines.training.head_stage import HeadFeatures
from pipelines.training.inputs import augmenter_of, views_of
from pipelines.training.solved_head import can_be_solved

if TYPE_CHECKING:
    import keras

    from pipelines.training.plan import TrainingPlan

BACKBONES_FOLDER = "backbones"


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedFeatures:
    """What members on cached features share.

    Attributes:
        backbone: the frozen base.
        model: pixels -> features.
        file: of that model, relative to a member's folder.
        extracted: the features of all parts; with folds, `train` has the validation images too.
        folds: the data set of each fold; empty without folds.
        widths: set of features that heads are chosen among -> how many of the first features it has.
        num_last: how many of the features, the first ones, are the last layer's.
    """

    backbone: LazyBackbone
    model: keras.Model
    file: str
    extracted: Extracted
    folds: tuple[Dataset, ...]
    widths: Mapping[FeatureLayers, int]
    num_last: int
    _fold_features: dict[int | None, HeadFeatures] = field(default_factory=dict, repr=False)

    def of_fold(self, fold: int | None) -> HeadFeatures:
        """The features that members are trained on, and those that they are validated on; of the last fold in memory.

        Args:
            fold: number of the fold, from 0; None without folds.
        """
        if fold not in self._fold_features:
            self._fold_features.clear()
            self._fold_features[fold] = self._select(fold)
        return self._fold_features[fold]

    def _select(self, fold: int | None) -> HeadFeatures:
        train, validation = self._divide(fold)
        return HeadFeatures(train=train, validation=validation, widths=self.widths, num_last=self.num_last)

    def _divide(self, fold: int | None) -> tuple[Features, Features]:
        pool = self.extracted.parts["train"]
        places = np.arange(len(pool))
        if fold is None:
            return FeatureSubset(pool, places), self.extracted.parts["validation"]
        # `divide_folds` keeps the order of the pooled images.
        is_held_out = np.asarray([example.split == "validation" for example in self.folds[fold].examples[: len(pool)]])
        return FeatureSubset(pool, places[~is_held_out]), FeatureSubset(pool, places[is_held_out])


def share_features(
    plan: TrainingPlan, spec: MembersSpec, out: Path, dataset: Dataset, folds: tuple[Dataset, ...]
) -> SharedFeatures:
    """Extract the features of all images, and write the backbone into one file for all members.

    Args:
        plan: of any member on the backbone.
        spec: of the ensemble.
        out: the ensemble's folder.
        dataset: the images of the ensemble.
        folds: its division, from `pipelines.data.folds.divide_folds`; empty without folds.
    """
    from models.classifier import build_feature_extractor

    options = plan.spec
    base = find_layers(_with_solved_head(plan, spec))
    backbone = base.backbone
    model = build_feature_extractor(backbone.model, pooling=options.head.pooling, mirror=options.head.mirror)
    # All members see the views of the ensemble's seed, whichever of them is trained first.
    views = replace(views_of(plan), seed=spec.common.fit.seed)
    parts = _list_parts(dataset, has_folds=bool(folds))
    extracted = extract(
        parts,
        base.frozen,
        views={part: views if part == "train" else CLEAN for part in parts},
        augmenter=augmenter_of(plan, backbone.image_size) if views.count > 1 else None,
        reporter=plan.reporter,
    )
    plan.reporter.note(f"{options.network.backbone}: {extracted.line}")
    num_features = extracted.parts["train"].num_features
    path = out / BACKBONES_FOLDER / f"{file_names(spec.backbones)[options.network.backbone]}.keras"
    if not path.is_file():
        path.parent.mkdir(exist_ok=True)
        save_keras(model, path)
    return SharedFeatures(
        backbone=backbone,
        model=model,
        file=f"../../{BACKBONES_FOLDER}/{path.name}",
        extracted=extracted,
        folds=folds,
        widths=base.widths(num_features),
        num_last=base.num_last(num_features),
    )


def _with_solved_head(plan: TrainingPlan, spec: MembersSpec) -> TrainingPlan:
    """The plan with the head of the ensemble that is solved, which wants the most features; as it is without one."""
    plans = (replace(plan, names=replace(plan.names, head=HEADS[name])) for name in spec.heads)
    return next((other for other in plans if can_be_solved(other)), plan)


def _list_parts(dataset: Dataset, *, has_folds: bool) -> dict[str, Sequence[Example]]:
    """The parts that have images; with folds, the training part has the validation images too."""
    parts: dict[str, Sequence[Example]] = {"train": dataset.part("train"), "test": dataset.part("test")}
    parts |= {"train": pooled(dataset)} if has_folds else {"validation": dataset.part("validation")}
    return {name: examples for name, examples in parts.items() if examples}
