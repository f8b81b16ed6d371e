"""Measures prediction time and model size of ensemble members."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np

from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.selection import Cost
from pipelines.runs.read_manifest import model_files
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

TIMED_IMAGES, TIMED_REPEATS = 8, 3


def measure_costs(members: Sequence[MemberPredictions], reporter: Reporter) -> list[Cost]:
    """What each member costs; each backbone is timed once."""
    times: dict[str, float] = {}
    costs = []
    with reporter.task("timing", len(members)) as task:
        for member in members:
            keys = [base_key(model) for model in member.models]
            for key, model in zip(keys, member.models, strict=True):
                if key not in times:
                    times[key] = milliseconds(model.model)
            head_sizes = [_head_megabytes(model) for model in member.models]
            backbone_sizes = {
                key: megabytes(model) - head_size
                for key, model, head_size in zip(keys, member.models, head_sizes, strict=True)
            }
            costs.append(
                Cost(
                    backbone=keys[0] if len(backbone_sizes) == 1 else member.name,
                    backbone_ms=sum(times[key] for key in backbone_sizes),
                    backbone_mb=sum(backbone_sizes.values()),
                    head_mb=sum(head_sizes),
                )
            )
            task.advance()
    return costs


def base_key(member: LoadedMember) -> str:
    """A key that members on the same frozen base share."""
    manifest = member.manifest
    if manifest.backbone.weights_sha256 is None:
        return str(member.folder)
    return f"{manifest.backbone.weights_sha256} {manifest.image_size} {manifest.head.pooling}"


def milliseconds(model: keras.Model) -> float:
    """Milliseconds an image that a model takes on this machine, as `predict` runs it: the least of several."""
    import tensorflow as tf

    call = tf.function(lambda pixels: model(pixels, training=False))
    pixels = tf.zeros((TIMED_IMAGES, *model.input_shape[1:]))
    np.asarray(call(pixels))
    seconds = []
    for _ in range(TIMED_REPEATS):
        began = time.perf_counter()
        np.asarray(call(pixels))
        seconds.append(time.perf_counter() - began)
    return 1000 * min(seconds) / TIMED_IMAGES


def megabytes(member: LoadedMember) -> float:
    """Size of a model's files."""
    return sum(file.stat().st_size for file in model_files(member.folder, member.manifest)) / 1e6


def _head_megabytes(member: LoadedMember) -> float:
    head = next((layer for layer in member.model.layers if layer.name == "head"), None)
    return 0.0 if head is None else 4e-6 * head.count_params()
