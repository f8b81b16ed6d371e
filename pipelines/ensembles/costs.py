"""What members cost at prediction, measured on this machine."""

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


def costs_of(voters: Sequence[MemberPredictions], reporter: Reporter) -> list[Cost]:
    """What each voter costs; each backbone is timed once."""
    times: dict[str, float] = {}
    found = []
    with reporter.task("timing", len(voters)) as task:
        for voter in voters:
            keys = [base_key(each) for each in voter.models]
            for key, each in zip(keys, voter.models, strict=True):
                if key not in times:
                    times[key] = milliseconds(each.model)
            heads = [_head_mb(each) for each in voter.models]
            whole = {key: megabytes(each) - head for key, each, head in zip(keys, voter.models, heads, strict=True)}
            found.append(
                Cost(
                    backbone=keys[0] if len(whole) == 1 else voter.name,
                    backbone_ms=sum(times[key] for key in whole),
                    backbone_mb=sum(whole.values()),
                    head_mb=sum(heads),
                )
            )
            task.advance()
    return found


def base_key(one: LoadedMember) -> str:
    """What members on one backbone share."""
    manifest = one.manifest
    if manifest.backbone.weights_sha256 is None:
        return str(one.folder)
    return f"{manifest.backbone.weights_sha256} {manifest.image_size} {manifest.head.pooling}"


def milliseconds(model: keras.Model) -> float:
    """Milliseconds an image that a model takes on this machine, as `predict` runs it: the best of several."""
    import tensorflow as tf

    call = tf.function(lambda pixels: model(pixels, training=False))
    pixels = tf.zeros((TIMED_IMAGES, *model.input_shape[1:]))
    np.asarray(call(pixels))
    times = []
    for _ in range(TIMED_REPEATS):
        began = time.perf_counter()
        np.asarray(call(pixels))
        times.append(time.perf_counter() - began)
    return 1000 * min(times) / TIMED_IMAGES


def megabytes(one: LoadedMember) -> float:
    """Size of a model's files."""
    files = model_files(one.folder, one.manifest)
    return sum(each.stat().st_size for each in files) / 1e6


def _head_mb(one: LoadedMember) -> float:
    head = next((layer for layer in one.model.layers if layer.name == "head"), None)
    return 0.0 if head is None else 4e-6 * head.count_params()
