"""Builds an engine, compares its features with those of plain Keras and measures its speed."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from models.errors import first_line
from models.machine_errors import full_disk

if TYPE_CHECKING:
    from models.arrays import FeatureRows, Pixels
    from models.engines.source import Run, TracedBase
    from models.engines.table import Engine

# Features that differ by less, relative to those of plain Keras, are of the same base; bfloat16 gives 2e-3 to 6e-3.
TOLERANCE = 2e-2
# A batch that takes longer than this many seconds is timed once, not twice.
_LONG = 2.0
# Engines that reach this part of the best rate are measured again, on so many batches in turn.
_NEAR, _ROUNDS = 0.6, 3


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Reference:
    """The base that engines are built from, and the features that they are compared with.

    Attributes:
        source: the base.
        pixels: a batch.
        features: that plain Keras gives for it.
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
        batch: number of images that `run` takes.
        build_seconds: for building it and its first batch.
        rate: images/s; 0 where it was not measured.
        difference: of its features from those of plain Keras, relative.
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

    @property
    def is_exact(self) -> bool:
        """Whether its features are those of plain Keras, within `TOLERANCE`; never where the difference is NaN."""
        return self.difference < TOLERANCE


class Candidate(NamedTuple):
    """An engine in one of the precisions that it offers.

    Attributes:
        name: of the engine.
        engine: its entry in the table.
        precision: to compute in.
    """

    name: str
    engine: Engine
    precision: str


def try_engine(candidate: Candidate, reference: Reference) -> tuple[EngineTrial | None, str]:
    """Build an engine, compare its features and measure it.

    Returns:
        The trial, and why the engine is dropped, or an empty string. An engine that fails has no trial; one whose
        features differ by `TOLERANCE` or more is not measured: its rate is 0.

    Raises:
        OSError: the disk of the converter's temporary files is full.
    """
    name, engine, precision = candidate
    began = time.monotonic()
    try:
        run, batch = engine.build(reference.source, precision)
        features = run(filled(reference.pixels, batch))[: len(reference.features)]
    except Exception as error:  # A converter may raise anything for a network that it does not support.
        if full_disk(error):
            raise
        return None, f"dropped: {name} {precision} fails: {first_line(error)}"
    difference = _relative_difference(features, reference.features[: len(features)])
    trial = EngineTrial(
        engine=name,
        precision=precision,
        run=run,
        batch=batch,
        build_seconds=time.monotonic() - began,
        difference=difference,
    )
    if not trial.is_exact:
        return trial, f"dropped: {name} {precision}, whose features differ by {difference:.1e} from plain Keras"
    return measure(trial, reference.pixels), ""


def measure(trial: EngineTrial, pixels: Pixels) -> EngineTrial:
    """Measure the rate of an engine that has run once: images/s of the faster of two batches."""
    batch = filled(pixels, trial.batch)
    seconds: list[float] = []
    while len(seconds) < 2 and sum(seconds) < _LONG:
        seconds.append(_time(trial.run, batch))
    return replace(trial, rate=len(batch) / min(seconds))


def measure_again(trials: list[EngineTrial], pixels: Pixels) -> list[EngineTrial]:
    """Measure the engines close to the best once more, in turn: another process may have slowed one of them."""
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
    """Repeat or cut `images` to exactly `batch`; black images where there are none."""
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
