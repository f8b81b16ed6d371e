"""Records which frozen bases a joined model stands on, so that cached features can replace pixels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pipelines.ensembles.costs import base_key
from pipelines.ensembles.member_predictions import LoadedMember

if TYPE_CHECKING:
    import keras


def record_bases(models: Sequence[LoadedMember], model: keras.Model) -> list[dict[str, Any]]:
    """What `bases_of` reads of a joined model: its bases, and the layers where they end.

    Empty where a member has none, or where the layers are others than those expected.
    """
    found: dict[str, dict[str, Any]] = {}
    backbones: dict[tuple[str, int], str] = {}
    for one in models:
        backbone = one.manifest.backbone
        if backbone.get("weights_sha256") is None:
            return []
        weights = (str(backbone["weights_sha256"]), one.manifest.image_size)
        named = backbones.setdefault(weights, f"backbone_{len(backbones) + 1}")
        found.setdefault(
            base_key(one),
            {
                "backbone_layer": named,
                "pooling_layer": f"pooling_{len(found) + 1}",
                "backbone": str(backbone["name"]),
                "weights_sha256": weights[0],
                "image_size": one.manifest.image_size,
                "pooling": str(one.manifest.head["pooling"]),
                "engine": str(one.manifest.spec.get("engine", "auto")),
            },
        )
    names = {layer.name for layer in model.layers if layer.name.startswith(("backbone_", "pooling_"))}
    expected = {each[layer] for each in found.values() for layer in ("backbone_layer", "pooling_layer")}
    return list(found.values()) if names == expected else []
