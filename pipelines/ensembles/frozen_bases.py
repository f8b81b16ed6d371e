"""Records which frozen bases a joined model stands on, so that cached features can replace pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from pipelines.ensembles.costs import base_key
from pipelines.ensembles.member_predictions import LoadedMember
from pipelines.runs.manifest import BaseRecord

if TYPE_CHECKING:
    import keras


def record_bases(members: Sequence[LoadedMember], model: keras.Model) -> tuple[BaseRecord, ...]:
    """The frozen bases of a joined model, and the layers where they end.

    Empty where a member has none, or where the model's layers are not those expected.
    """
    bases: dict[str, BaseRecord] = {}
    backbones: dict[tuple[str, int, str, str], str] = {}
    for member in members:
        manifest = member.manifest
        weights_sha256 = manifest.backbone.weights_sha256
        if weights_sha256 is None:
            return ()
        head = manifest.head
        # A backbone that averages over mirror images pools before it does.
        network = weights_sha256, manifest.image_size, head.features, head.pooling if head.mirror else ""
        layer = backbones.setdefault(network, f"backbone_{len(backbones) + 1}")
        base = BaseRecord(
            backbone_layer=layer,
            pooling_layer=f"pooling_{len(bases) + 1}",
            backbone=manifest.backbone.name,
            weights_sha256=weights_sha256,
            image_size=manifest.image_size,
            pooling=head.pooling,
            engine=manifest.engine_asked,
            features=head.features,
            mirror=head.mirror,
        )
        bases.setdefault(base_key(member), base)
    # A layer `member_...` is a member that sees the pixels itself, because its head cannot be fused.
    prefixes = ("backbone_", "pooling_", "member_")
    layers = {layer.name for layer in model.layers if layer.name.startswith(prefixes)}
    expected = {layer for base in bases.values() for layer in (base.backbone_layer, base.pooling_layer)}
    return tuple(bases.values()) if layers == expected else ()
