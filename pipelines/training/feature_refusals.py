"""Refuses options on features that do not go with the others, before an image is read."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import UserError

if TYPE_CHECKING:
    from pipelines.runs.spec import TrainSpec
    from pipelines.training.backbone import BackboneSource

_INSTEAD = "omit --mirror; `predict --tta flip` averages probabilities over mirror images"


def refuse_levels(spec: TrainSpec, source: BackboneSource) -> None:
    """Refuse features of all levels where a stage needs the map of the last layer, or trains the layers below it.

    Args:
        spec: what is asked for.
        source: of the backbone.

    Raises:
        UserError: features of all levels are asked for there.
    """
    if spec.head.features != "levels":
        return
    if source.is_untrained:
        raise UserError(
            f"`{source.name}` starts from random weights: --features levels is for pretrained networks",
            "omit --features: every layer is trained",
        )
    if not spec.data.cache:
        raise UserError("--features levels needs cached features", "omit --no-cache, or omit --features")
    if spec.head.pooling != "avg":
        raise UserError(
            f"--features levels averages every level: `--pooling {spec.head.pooling}` does not go with it",
            "omit --pooling, or omit --features",
        )


def refuse_mirror(spec: TrainSpec, source: BackboneSource) -> None:
    """Refuse `--mirror` where no features are averaged, or where a mirror image shows something else.

    Args:
        spec: what is asked for.
        source: of the backbone.

    Raises:
        UserError: it is asked for there.
    """
    if not spec.head.mirror:
        return
    if spec.data.no_flip:
        raise UserError(
            "--mirror averages features over mirror images, and --no-flip says that they show something else",
            "omit one of the two",
        )
    if source.is_untrained:
        raise UserError("--mirror is for pretrained networks: here every layer is trained", _INSTEAD)
    if not spec.data.cache:
        raise UserError(
            "--mirror needs cached features, and --no-cache computes none", f"omit --no-cache, or {_INSTEAD}"
        )
    if spec.fine_tune.blocks is not None:
        raise UserError("--fine-tune trains on single images: --mirror does not go with it", _INSTEAD)
