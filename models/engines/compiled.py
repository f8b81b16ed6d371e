"""Compiles a frozen base to run fast: builds engines, compares them with plain Keras, and takes the fastest."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.engines.gpu import grow_memory
from models.engines.records import EngineChoice, EngineReport
from models.engines.source import TracedBase
from models.engines.table import ENGINES, require
from models.engines.trials import TOLERANCE, EngineTrial, Reference, filled, measure, measure_again, try_engine
from models.errors import UserError, lookup

if TYPE_CHECKING:
    import keras

    from models.arrays import FeatureRows, Pixels
    from models.engines.source import Run

# (images, height, width, 3) in [0, 255], of any number type.
AnyPixels: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]
BATCH = 32
# An engine that can be at most this many times as fast as the best so far is not built.
_LEAST_GAIN = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBase:
    """A compiled base: call it with pixels to get features.

    Attributes:
        choice: the engine and its precision, with the report of the trials.
        batch: images that one call computes at a time.
        lines: the report for people.
        run: a full batch of pixels -> features.
    """

    choice: EngineChoice
    batch: int
    lines: tuple[str, ...]
    run: Run = field(repr=False)

    def __call__(self, pixels: AnyPixels) -> FeatureRows:
        """Compute features.

        Args:
            pixels: (images, height, width, 3) in [0, 255], any number of images.

        Returns:
            (images, features) float32.
        """
        images = np.asarray(pixels, np.float32)
        rows = []
        for start in range(0, max(len(images), 1), self.batch):
            piece = images[start : start + self.batch]
            # Always a full batch: another shape would be compiled anew.
            rows.append(self.run(filled(piece, self.batch))[: len(piece)])
        return np.concatenate(rows)


def compile_base(
    model: keras.Model,
    sample: AnyPixels,
    *,
    engine: str = "auto",
    precision: str | None = None,
    num_images: int | None = None,
    batch: int = BATCH,
) -> CompiledBase:
    """Compile a frozen base with one engine, or with the fastest that gives the same features.

    Args:
        model: pixels (batch, height, width, 3) in [0, 255] -> features (batch, features), the pooling included.
        sample: pixels (images, height, width, 3) in [0, 255] to compare and measure on; a batch of real images is best.
        engine: name in `ENGINES`, or `auto`.
        precision: of an engine that is named: `float32`, `bfloat16` or `float16`; None for the first of those it offers
            here that gives the same features.
        num_images: how many images there are to compute: what would take longer to build than it could save is not
            tried. None for very many.
        batch: images a call, on a CPU; the GPU engine finds its own.

    Raises:
        UserError: the engine is unknown, cannot run here, or gives other features than plain Keras.
    """
    precisions = () if engine == "auto" else require(lookup(ENGINES, engine, "engine"))
    if precision and precisions:
        precisions = (_offered(engine, precision, precisions),)
    if len(sample) == 0:
        raise ValueError("`sample` is empty")
    reasons = [reason for reason in [grow_memory()] if reason]
    pixels = filled(np.asarray(sample, np.float32), batch)
    source = TracedBase(model, pixels.shape)

    # Plain Keras is the reference.
    reference, plain = _build_reference(source, pixels)
    trials = [plain]
    if engine == "auto":
        trials += _race(reference, plain, num_images, reasons)
        trials = measure_again(trials, pixels)
        best = max(trials, key=lambda trial: trial.rate)
    elif engine == "keras":
        best = plain
    else:
        best = _try_one(reference, engine, precisions, reasons)
        trials.append(best)
    report = EngineReport(
        images_per_second={trial.name: round(trial.rate, 1) for trial in trials},
        relative_difference={trial.name: float(f"{trial.difference:.2e}") for trial in trials},
        build_seconds={trial.name: round(trial.build_seconds, 2) for trial in trials},
        reasons=tuple(reasons),
    )
    choice = EngineChoice(engine=best.engine, precision=best.precision, report=report, num_images=num_images)
    return CompiledBase(choice=choice, batch=best.batch, lines=(_summary(best, trials), *reasons), run=best.run)


def _build_reference(source: TracedBase, pixels: Pixels) -> tuple[Reference, EngineTrial]:
    """Plain Keras: what it computes, and how fast it is."""
    began = time.monotonic()
    run, size = ENGINES["keras"].build(source, "float32")
    reference = Reference(source=source, pixels=pixels, features=run(pixels))
    seconds = time.monotonic() - began
    trial = EngineTrial(engine="keras", precision="float32", run=run, batch=size, build_seconds=seconds)
    return reference, measure(trial, pixels)


def compile_chosen(model: keras.Model, sample: AnyPixels, choice: EngineChoice, *, batch: int = BATCH) -> CompiledBase:
    """Compile a frozen base with an engine that was compared and measured before.

    Args:
        model: as for `compile_base`.
        sample: pixels, for their shape.
        choice: of the engine.
        batch: images a call, on a CPU.
    """
    grow_memory()
    source = TracedBase(model, filled(np.asarray(sample, np.float32), batch).shape)
    run, size = ENGINES[choice.engine].build(source, choice.precision)
    line = f"engine: {choice.engine} {choice.precision}, as measured before"
    return CompiledBase(choice=choice, batch=size, lines=(line,), run=run)


def _race(
    reference: Reference, plain: EngineTrial, num_images: int | None, reasons: list[str]
) -> Iterator[EngineTrial]:
    """Try what could still be faster than the best so far by more than it costs, the most promising first."""
    best = plain
    candidates = [(name, engine, precision) for name, engine in ENGINES.items() for precision in engine.precisions()]
    reasons += [
        f"not tried: {engine.absent[0]}"
        for engine in ENGINES.values()
        if engine.named_when_absent and not engine.precisions()
    ]
    too_slow_to_build, inexact = [], set()
    for name, engine, precision in sorted(candidates, key=lambda candidate: -candidate[1].hope[candidate[2]]):
        hoped = plain.rate * engine.hope[precision]
        if name == "keras" or hoped <= _LEAST_GAIN * best.rate:
            continue
        if precision in inexact:
            reasons.append(f"not tried: {name} {precision}, in which the features moved too far already")
            continue
        if num_images is not None:
            saving = num_images / best.rate - num_images / hoped
            if saving < engine.cost * plain.build_seconds:
                too_slow_to_build.append(f"{name} {precision}")
                continue
        trial = try_engine(name, engine, precision, reference, reasons)
        if trial is None:
            continue
        if trial.difference < TOLERANCE:
            yield trial
            best = max(best, trial, key=lambda candidate: candidate.rate)
        elif trial.difference > 2 * TOLERANCE:
            inexact.add(precision)  # Rounding is the same in every engine.
    if too_slow_to_build:
        names = ", ".join(too_slow_to_build)
        reasons.append(f"not tried for {num_images:,} images: {names}; building takes longer than it saves")


def _offered(engine: str, precision: str, offered: tuple[str, ...]) -> str:
    if precision in offered:
        return precision
    raise UserError(f"the engine `{engine}` offers no {precision} on this machine", f"choose {' or '.join(offered)}")


def _try_one(reference: Reference, engine: str, precisions: tuple[str, ...], reasons: list[str]) -> EngineTrial:
    """The engine asked for, in the first of these precisions that gives the same features."""
    for precision in precisions:
        trial = try_engine(engine, ENGINES[engine], precision, reference, reasons)
        if trial is not None and trial.difference < TOLERANCE:
            return trial
    raise UserError(f"the engine `{engine}` cannot run this network: {reasons[-1]}", "choose `--engine auto`")


def _summary(best: EngineTrial, trials: list[EngineTrial]) -> str:
    others = ", ".join(
        f"{trial.name.replace('/', ' ')} {trial.rate:.0f}" for trial in trials if trial.name != best.name
    )
    differing = f"; features differ by {best.difference:.1e}" if best.difference else ""
    beside = f" ({others})" if others else ""
    return f"engine: {best.engine} {best.precision}, {best.rate:.0f} images/s{beside}{differing}"
