"""Which backbones a test takes: a spread of families by default, the long tail when slow tests run."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from models.zoo import BACKBONES

# One of each way to scale pixels, to name layers and to join branches, each the smallest of its family.
SPREAD = (
    "vgg16",
    "resnet50",
    "resnet50_v2",
    "inception_v3",
    "mobilenet_0.25",
    "mobilenet_v2_0.35",
    "mobilenet_v3_small",
    "densenet121",
    "efficientnet_b0",
    "efficientnet_v2_b0",
    "convnext_tiny",
    "small_cnn",
    "lenet5",
)
TAIL = tuple(name for name in BACKBONES if name not in SPREAD)


def every(fast: Sequence[str] = SPREAD, *, pretrained_only: bool = False) -> list[object]:
    """Parameters for `parametrize`: every backbone of the table, all but `fast` marked slow."""
    names = [name for name, backbone in BACKBONES.items() if backbone.has_published_weights or not pretrained_only]
    return [name if name in fast else pytest.param(name, marks=pytest.mark.slow) for name in names]
