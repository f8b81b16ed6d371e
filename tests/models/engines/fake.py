"""Engines whose speed, errors and features the test chooses."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from typing import TypeAlias

import numpy as np

from models.arrays import FeatureRows, Pixels
from models.engines.source import Run, TracedBase
from models.engines.table import ENGINES, Engine
from tests.models.engines.tiny import plain


class FakeEngine:
    """An engine that takes `seconds` a batch, multiplies the features by `factor`, or fails to build.

    Attributes:
        built: how many times it was built.
    """

    def __init__(
        self,
        *,
        seconds: float = 0.0,
        factor: float = 1.0,
        hope: float = 99.0,
        cost: float = 2.0,
        fails: bool = False,
    ) -> None:
        self.seconds, self.factor, self.hope, self.cost, self.fails = seconds, factor, hope, cost, fails
        self.built = 0

    def entry(self) -> Engine:
        """Its entry in the table."""
        return replace(
            ENGINES["keras"],
            build=self.build,
            precisions=lambda: ("bfloat16",),
            hope={"bfloat16": self.hope},
            cost=self.cost,
        )

    def build(self, source: TracedBase, precision: str) -> tuple[Run, int]:
        """As `Engine.build`."""
        self.built += 1
        if self.fails:
            raise RuntimeError("no such operation: `Twirl`.\nmore")

        def run(pixels: Pixels) -> FeatureRows:
            time.sleep(self.seconds)
            return plain(source.model, pixels) * np.float32(self.factor)

        return run, source.shape[0]


# Replaces the engines by those given and a plain Keras that takes 0.2 s a batch; returns all of them by name.
Fakes: TypeAlias = Callable[..., dict[str, FakeEngine]]
