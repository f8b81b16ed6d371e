"""Build a candidate, hold it against plain Keras and measure it."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from models.engines.source import Run, TracedBase
    from models.engines.table import Engine

Floats = NDArray[np.float32]
# Relative difference of the features from plain Keras' that is still the same base; bfloat16 gives 2e-3 to 6e-3.
TOLERANCE = 2e-2
# A batch that takes longer than this many seconds is timed once, not twice.
_LONG = 2.0
# What reaches this part of the best is measured again, so many batches in turn.
_NEAR, _ROUNDS = 0.6, 3


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineTrial:
    """A candidate, built and measured; `seconds` for building and the first batch, `rate` in images/s."""

    engine: str
    precision: str
    run: Run
    batch: int
    seconds: float
    rate: float
    difference: float

    @property
    def name(self) -> str:
        """`engine/precision`."""
        return f"{self.engine}/{self.precision}"


def attempt(
    source: TracedBase, name: str, engine: Engine, precision: str, pixels: Floats, reference: Floats, reasons: list[str]
) -> EngineTrial | None:
    """Build, compare and measure a candidate.

    Returns:
        None if it does not work, with a reason; not measured (a rate of 0), with a reason, if its features differ by
        `TOLERANCE` or more.
    """
    began = time.monotonic()
    try:
        run, batch = engine.build(source, precision)
        features = run(filled(pixels, batch))[: len(reference)]
    except Exception as error:  # Whatever a converter raises for a network it does not know.
        reasons.append(f"dropped: {name} {precision} fails: {_first_line(error)}")
        return None
    seconds = time.monotonic() - began
    difference = _difference(features, reference[: len(features)])
    if not difference < TOLERANCE:
        reasons.append(f"dropped: {name} {precision}, whose features differ by {difference:.1e} from plain Keras")
        return EngineTrial(
            engine=name, precision=precision, run=run, batch=batch, seconds=seconds, rate=0.0, difference=difference
        )
    return timed(name, precision, run, batch, seconds, difference, pixels)


def timed(
    engine: str, precision: str, run: Run, batch: int, seconds: float, difference: float, pixels: Floats
) -> EngineTrial:
    """Measure what is built and has run once."""
    rate = _rate(run, filled(pixels, batch))
    return EngineTrial(
        engine=engine, precision=precision, run=run, batch=batch, seconds=seconds, rate=rate, difference=difference
    )


def again(tried: list[EngineTrial], pixels: Floats) -> list[EngineTrial]:
    """Measure those that are close to the best once more, in turn: one of them may have been disturbed, or spared."""
    best = max(each.rate for each in tried)
    near = {each.name: each for each in tried if each.rate > _NEAR * best}
    if len(near) == 1:
        return tried
    taken = dict.fromkeys(near, 0.0)
    rounds = 0
    while rounds < _ROUNDS and sum(taken.values()) < _ROUNDS * _LONG:
        rounds += 1
        for name, each in near.items():
            taken[name] += _seconds(each.run, filled(pixels, each.batch))
    rates = {name: rounds * near[name].batch / seconds for name, seconds in taken.items()}
    return [replace(each, rate=rates.get(each.name, each.rate)) for each in tried]


def _rate(run: Run, pixels: Floats) -> float:
    """Images/s of the faster of two batches."""
    taken: list[float] = []
    while len(taken) < 2 and sum(taken) < _LONG:
        taken.append(_seconds(run, pixels))
    return len(pixels) / min(taken)


def _seconds(run: Run, pixels: Floats) -> float:
    began = time.perf_counter()
    run(pixels)
    return max(time.perf_counter() - began, 1e-9)


def filled(images: Floats, batch: int) -> Floats:
    """Exactly `batch` images: the first ones, or these again and again; black ones where there is none."""
    if len(images) == batch:
        return images
    if len(images) == 0:
        return np.zeros((batch, *images.shape[1:]), np.float32)
    return images[np.arange(batch) % len(images)]


def _difference(features: Floats, reference: Floats) -> float:
    """||features - reference|| / ||reference||."""
    norm = float(np.linalg.norm(reference))
    return float(np.linalg.norm(features.astype(np.float64) - reference)) / (norm or 1.0)


def _first_line(error: BaseException) -> str:
    return (str(error).strip() or type(error).__name__).splitlines()[0].rstrip(".:")
