"""Builds an engine, compares its features with those of plain Keras and measures its speed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from models.arrays import FeatureRows, Pixels
    from models.engines.source import Run, TracedBase
    from models.engines.table import Engine

# Relative difference of the features from plain Keras' that is still the same base; bfloat16 gives 2e-3 to 6e-3.
TOLERANCE = 2e-2
# A batch that takes longer than this many seconds is timed once, not twice.
_LONG = 2.0
# What reaches this part of the best rate is measured again, so many batches in turn.
_NEAR, _ROUNDS = 0.6, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """What engines are built from and compared with.

    Attributes:
        source: the base.
        pixels: a batch.
        features: of plain Keras for it.
    """

    source: TracedBase
    pixels: Pixels
    features: FeatureRows


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTrial:
    """An engine that was built.

    Attributes:
        engine: its name.
        precision: that it computes in.
        run: a full batch of pixels -> features.
        batch: images that one run takes.
        build_seconds: for building it and its first batch.
        rate: images/s; 0 where it is not measured.
        difference: relative difference of its features from plain Keras'.
    """

    engine: str
    precision: str
    run: Run
    batch: int
    build_seconds: float
    rate: float = 0.0
    difference: float = 0.0

    @property
    def name(self) -> str:
        """`engine/precision`."""
        return f"{self.engine}/{self.precision}"


def try_engine(
    name: str, engine: Engine, precision: str, reference: Reference, reasons: list[str]
) -> EngineTrial | None:
    """Build an engine, compare its features and measure it.

    Returns:
        None if it does not work, with a reason; not measured (a rate of 0), with a reason, if its features differ by
        `TOLERANCE` or more.
    """
    began = time.monotonic()
    try:
        run, batch = engine.build(reference.source, precision)
        features = run(filled(reference.pixels, batch))[: len(reference.features)]
    except Exception as error:  # A converter may raise anything for a network that it does not know.
        reasons.append(f"dropped: {name} {precision} fails: {_first_line(error)}")
        return None
    difference = _relative_difference(features, reference.features[: len(features)])
    trial = EngineTrial(
        engine=name,
        precision=precision,
        run=run,
        batch=batch,
        build_seconds=time.monotonic() - began,
        difference=difference,
    )
    if not difference < TOLERANCE:
        reasons.append(f"dropped: {name} {precision}, whose features differ by {difference:.1e} from plain Keras")
        return trial
    return measure(trial, reference.pixels)


def measure(trial: EngineTrial, pixels: Pixels) -> EngineTrial:
    """Measure the rate of an engine that has run once: images/s of the faster of two batches."""
    batch = filled(pixels, trial.batch)
    seconds: list[float] = []
    while len(seconds) < 2 and sum(seconds) < _LONG:
        seconds.append(_time(trial.run, batch))
    return replace(trial, rate=len(batch) / min(seconds))


def measure_again(trials: list[EngineTrial], pixels: Pixels) -> list[EngineTrial]:
    """Measure those close to the best once more, in turn: the machine may have slowed one of them, or spared it."""
    best = max(trial.rate for trial in trials)
    near = {trial.name: trial for trial in trials if trial.rate > _NEAR * best}
    if len(near) == 1:
        return trials
    seconds = dict.fromkeys(near, 0.0)
    rounds = 0
    while rounds < _ROUNDS and sum(seconds.values()) < _ROUNDS * _LONG:
        rounds += 1
        for name, trial in near.items():
            seconds[name] += _time(trial.run, filled(pixels, trial.batch))
    rates = {name: rounds * near[name].batch / taken for name, taken in seconds.items()}
    return [replace(trial, rate=rates.get(trial.name, trial.rate)) for trial in trials]


def filled(images: Pixels, batch: int) -> Pixels:
    """Exactly `batch` images: the first ones, or these again and again; black ones where there are none."""
    if len(images) == batch:
        return images
    if len(images) == 0:
        return np.zeros((batch, *images.shape[1:]), np.float32)
    return images[np.arange(batch) % len(images)]


def _time(run: Run, pixels: Pixels) -> float:
    began = time.perf_counter()
    run(pixels)
    return max(time.perf_counter() - began, 1e-9)


def _relative_difference(features: FeatureRows, reference: FeatureRows) -> float:
    """||features - reference|| / ||reference||."""
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(features.astype(np.float64) - reference)) / (norm or 1.0)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
