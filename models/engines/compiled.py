"""Compiles a frozen base with the fastest engine that gives the features of plain Keras."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypeAlias

import numpy as np
from numpy.typing import NDArray

from models.engines.gpu import grow_memory
from models.engines.race import Race
from models.engines.records import EngineChoice, EngineReport
from models.engines.source import TracedBase
from models.engines.table import ENGINES, require
from models.engines.trials import Candidate, EngineTrial, Reference, filled, measure, measure_again, try_engine
from models.errors import UserError, lookup

if TYPE_CHECKING:
    import keras

    from models.arrays import FeatureRows, Pixels
    from models.engines.source import Run

# (images, height, width, 3) in [0, 255], of any number type.
AnyPixels: TypeAlias = NDArray[np.uint8] | NDArray[np.float32] | NDArray[np.float64]
BATCH = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBase:
    """A compiled base: call it with pixels to get features.

    Attributes:
        choice: the engine and its precision, with the report of the trials.
        batch: images that one call computes at a time.
        lines: the choice and its reasons, for the user.
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
            # Always a full batch: TensorFlow would compile another shape anew.
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
        num_images: how many images there are to compute: an engine that takes longer to build than it can save is not
            tried. None for very many.
        batch: images a call, on a CPU; the GPU engine finds its own.

    Raises:
        UserError: the engine is unknown, cannot run here, or gives other features than plain Keras.
    """
    precisions = () if engine == "auto" else _precisions_of(engine, precision)
    if len(sample) == 0:
        raise ValueError("`sample` is empty")
    reasons = [reason] if (reason := grow_memory()) else []
    pixels = filled(np.asarray(sample, np.float32), batch)
    source = TracedBase(model, pixels.shape)

    # Plain Keras is the reference.
    reference, plain = _build_reference(source, pixels)
    trials = [plain]
    if engine == "auto":
        race = Race(reference=reference, plain=plain, num_images=num_images, reasons=reasons)
        trials = measure_again([plain, *race.run()], pixels)
        best = max(trials, key=lambda trial: trial.rate)
    elif engine == "keras":
        best = plain
    else:
        best = _try_one(reference, engine, precisions, reasons)
        trials.append(best)
    report = _report(trials, reasons)
    choice = EngineChoice(engine=best.engine, precision=best.precision, report=report, num_images=num_images)
    return CompiledBase(choice=choice, batch=best.batch, lines=(_summary(best, trials), *reasons), run=best.run)


def _build_reference(source: TracedBase, pixels: Pixels) -> tuple[Reference, EngineTrial]:
    """The features of plain Keras, and its trial."""
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


def _precisions_of(engine: str, precision: str | None) -> tuple[str, ...]:
    """The precisions to try an engine in, in order."""
    offered = require(lookup(ENGINES, engine, "engine"))
    if precision is None:
        return offered
    if precision not in offered:
        raise UserError(
            f"the engine `{engine}` offers no {precision} on this machine", f"choose {' or '.join(offered)}"
        )
    return (precision,)


def _try_one(reference: Reference, engine: str, precisions: tuple[str, ...], reasons: list[str]) -> EngineTrial:
    """The engine that was asked for, in the first of these precisions that gives the same features."""
    for precision in precisions:
        trial, reason = try_engine(Candidate(engine, ENGINES[engine], precision), reference)
        if trial is not None and trial.is_exact:
            return trial
        reasons.append(reason)
    raise UserError(f"the engine `{engine}` cannot run this network: {reasons[-1]}", "choose `--engine auto`")


def _report(trials: Sequence[EngineTrial], reasons: Sequence[str]) -> EngineReport:
    return EngineReport(
        images_per_second={trial.name: round(trial.rate, 1) for trial in trials},
        relative_difference={trial.name: float(f"{trial.difference:.2e}") for trial in trials},
        build_seconds={trial.name: round(trial.build_seconds, 2) for trial in trials},
        reasons=tuple(reasons),
    )


def _summary(best: EngineTrial, trials: list[EngineTrial]) -> str:
    others = ", ".join(
        f"{trial.name.replace('/', ' ')} {trial.rate:.0f}" for trial in trials if trial.name != best.name
    )
    differing = f"; features differ by {best.difference:.1e}" if best.difference else ""
    beside = f" ({others})" if others else ""
    return f"engine: {best.engine} {best.precision}, {best.rate:.0f} images/s{beside}{differing}"
