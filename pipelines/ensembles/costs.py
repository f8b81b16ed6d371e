"""Lists what ensemble members cost: prediction time and size, each frozen base once."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.selection import Cost
from pipelines.ensembles.timing import Timing, one_after_the_other
from pipelines.runs.read_manifest import model_files

if TYPE_CHECKING:
    import keras


def models_to_time(members: Sequence[MemberPredictions]) -> dict[str, keras.Model]:
    """A model for each distinct base, under its `base_key`: beside the base, heads take next to no time."""
    models: dict[str, keras.Model] = {}
    for member in members:
        for model in member.models:
            models.setdefault(base_key(model), model.model)
    return models


def time_of(member: MemberPredictions, times: Mapping[str, Timing]) -> Timing:
    """The time of a member, or of all models of a group of folds; each base counts once."""
    return one_after_the_other(times[key] for key in dict.fromkeys(base_key(model) for model in member.models))


def list_costs(members: Sequence[MemberPredictions], times: Mapping[str, Timing] | None) -> list[Cost]:
    """What each member costs.

    Args:
        members: all of them.
        times: of their bases, by `base_key`; None where time has no limit, and was not measured.
    """
    costs = []
    for member in members:
        keys = [base_key(model) for model in member.models]
        head_sizes = [_head_megabytes(model) for model in member.models]
        backbone_sizes = {
            key: megabytes(model) - head_size
            for key, model, head_size in zip(keys, member.models, head_sizes, strict=True)
        }
        costs.append(
            Cost(
                backbone=keys[0] if len(backbone_sizes) == 1 else member.name,
                backbone_ms=time_of(member, times).spread.median if times else 0.0,
                backbone_mb=sum(backbone_sizes.values()),
                head_mb=sum(head_sizes),
            )
        )
    return costs


def base_key(member: LoadedMember) -> str:
    """A key that members on the same frozen base share."""
    manifest = member.manifest
    if manifest.backbone.weights_sha256 is None:
        return str(member.folder)
    head = manifest.head
    mirror = " mirror" if head.mirror else ""
    return f"{manifest.backbone.weights_sha256} {manifest.image_size} {head.pooling} {head.features}{mirror}"


def megabytes(member: LoadedMember) -> float:
    """Size of a model's files."""
    return sum(file.stat().st_size for file in model_files(member.folder, member.manifest)) / 1e6


def _head_megabytes(member: LoadedMember) -> float:
    head = next((layer for layer in member.model.layers if layer.name == "head"), None)
    return 0.0 if head is None else 4e-6 * head.count_params()
