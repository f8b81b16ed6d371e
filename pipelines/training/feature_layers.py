"""Finds which layers of a backbone the features of a training are taken from, and the frozen base that gives them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from models.blocks import require_blocks
from models.classifier import build_feature_extractor
from pipelines.features.frozen_base import FrozenBase
from pipelines.runs.cross_validation_record import FeatureLayers
from pipelines.training.backbone import LazyBackbone
from pipelines.training.plan import TrainingPlan
from pipelines.training.solved_head import can_be_solved


@dataclass(frozen=True, slots=True, kw_only=True)
class LayeredBase:
    """A backbone whose features are extracted.

    Attributes:
        backbone: it gives the features of the largest set.
        frozen: it as a frozen base.
        sets: that a head is chosen among, the smallest first.
    """

    backbone: LazyBackbone
    frozen: FrozenBase
    sets: tuple[FeatureLayers, ...]

    def num_last(self, num_features: int) -> int:
        """How many of the features, the first ones, are the last layer's.

        Args:
            num_features: how many there are.
        """
        if self.backbone.features == "last":
            return num_features
        return self.frozen.num_last() or self.backbone.count_last()

    def widths(self, num_features: int) -> Mapping[FeatureLayers, int]:
        """Set -> how many of the first features it has."""
        return {name: self.num_last(num_features) if name == "last" else num_features for name in self.sets}


def find_layers(plan: TrainingPlan) -> LayeredBase:
    """Find the layers that a training takes features from.

    With `auto`, those of the last layer and of all levels, where the head is solved, which chooses between them. A head
    that is trained in steps would take long on thousands of features.

    Raises:
        UserError: the weights are missing, or the backbone has no such blocks to fine-tune.
    """
    spec = plan.spec
    asked = spec.head.features
    if asked != "auto":
        return _layered(plan, (asked,))
    if spec.head.pooling != "avg" or not can_be_solved(plan):
        return _layered(plan, ("last",))
    layered = _layered(plan, ("last", "levels"))
    has_levels = layered.frozen.num_last() is not None or layered.backbone.has_levels()
    return layered if has_levels else _layered(plan, ("last",))


def _layered(plan: TrainingPlan, sets: tuple[FeatureLayers, ...]) -> LayeredBase:
    spec = plan.spec
    backbone = LazyBackbone(plan.names.source, network=spec.network, pooling=spec.head.pooling, features=sets[-1])
    if spec.fine_tune.blocks is not None:
        require_blocks(backbone.model, spec.fine_tune.blocks)
    frozen = FrozenBase(
        key=backbone.base(),
        build=lambda: build_feature_extractor(backbone.model, pooling=spec.head.pooling),
        engine=spec.network.engine,
        count_last=backbone.count_last if sets[-1] == "levels" else None,
        mirror=spec.head.mirror,
    )
    return LayeredBase(backbone=backbone, frozen=frozen, sets=sets)
