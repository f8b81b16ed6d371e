"""A frozen base compiled to run fast: engines built, held against plain Keras, measured, and the fastest taken."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.engines import choices
from models.engines.gpu import grow_memory
from models.engines.source import TracedBase
from models.engines.table import ENGINES, require
from models.engines.trials import TOLERANCE, EngineTrial, again, attempt, filled, timed
from models.errors import UserError, lookup

if TYPE_CHECKING:
    import keras

    from models.engines.source import Run

Floats = NDArray[np.float32]
BATCH = 32
# What can be this many times as fast as the best so far, at most, is not built.
_HARDLY = 1.1


@dataclass(frozen=True, slots=True, kw_only=True)
class CompiledBase:
    """A compiled base: call it with pixels, get features.

    Attributes:
        engine: name in `ENGINES`.
        precision: of its convolutions: `float32`, `bfloat16` or `float16`.
        batch: images that one call computes at a time.
        report: for run.json: `images_per_second`, `relative_difference` and `build_seconds` of each engine tried, by
            `engine/precision`, and `reasons`.
        lines: the same for people.
    """

    engine: str
    precision: str
    batch: int
    report: dict[str, Any]
    lines: tuple[str, ...]
    run: Run = field(repr=False)

    def __call__(self, pixels: Any) -> Floats:
        """Compute features.

        Args:
            pixels: (images, height, width, 3) in [0, 255], uint8 or float, any number of images.

        Returns:
            (images, features) float32.
        """
        images = np.asarray(pixels, np.float32)
        rows = []
        for at in range(0, max(len(images), 1), self.batch):
            piece = images[at : at + self.batch]
            # Always a full batch: another shape would be compiled anew.
            rows.append(self.run(filled(piece, self.batch))[: len(piece)])
        return np.concatenate(rows)


def compile_base(
    model: keras.Model,
    *,
    engine: str = "auto",
    precision: str | None = None,
    sample: NDArray[Any],
    num_images: int | None = None,
    choice_file: Path | None = None,
    batch: int = BATCH,
) -> CompiledBase:
    """Compile a frozen base with one engine, or with the fastest that gives the same features.

    Args:
        model: pixels (batch, height, width, 3) in [0, 255] -> features (batch, features), the pooling included.
        engine: name in `ENGINES`, or `auto`.
        precision: of an engine that is named: `float32`, `bfloat16` or `float16`; None for the first of those it offers
            here that gives the same features.
        sample: pixels (images, height, width, 3) in [0, 255] to compare and measure on; a batch of real images is best.
        num_images: how many images there are to compute: what would take longer to build than it could save is not
            tried. None for very many.
        choice_file: where what was chosen for a model on a machine is kept, so that it is compared and measured once.
        batch: images a call, on a CPU; the GPU engine finds its own.

    Raises:
        UserError: the engine is unknown, cannot run here, or gives other features than plain Keras.
    """
    wanted = () if engine == "auto" else require(engine, lookup(ENGINES, engine, "engine"))
    if precision and wanted:
        wanted = (_offered(engine, precision, wanted),)
    if len(sample) == 0:
        raise ValueError("`sample` is empty")
    reasons = [reason for reason in [grow_memory()] if reason]
    pixels = filled(np.asarray(sample, np.float32), batch)
    source = TracedBase(model, pixels.shape)
    key = choices.key(model, pixels.shape, f"{engine} {precision}") if choice_file else ""

    # What was chosen before needs no comparison.
    remembered = choices.read(choice_file, key, num_images) if choice_file and key else None
    if remembered is not None:
        name, exactness = remembered["engine"], remembered["precision"]
        run, size = ENGINES[name].build(source, exactness)
        line = f"engine: {name} {exactness}, as measured before"
        return CompiledBase(
            engine=name, precision=exactness, batch=size, report=remembered["report"], lines=(line,), run=run
        )

    # Plain Keras says what is right.
    began = time.monotonic()
    run, size = ENGINES["keras"].build(source, "float32")
    reference = run(pixels)
    plain = timed("keras", "float32", run, size, time.monotonic() - began, 0.0, pixels)
    tried = [plain]
    if engine == "auto":
        tried += _race(source, plain, pixels, reference, num_images, reasons)
        tried = again(tried, pixels)
    elif engine != "keras":
        tried.append(_one(source, engine, wanted, pixels, reference, reasons))
    best = max(tried if engine == "auto" else tried[-1:], key=lambda each: each.rate)

    report = {
        "images_per_second": {each.name: round(each.rate, 1) for each in tried},
        "relative_difference": {each.name: float(f"{each.difference:.2e}") for each in tried},
        "build_seconds": {each.name: round(each.seconds, 2) for each in tried},
        "reasons": reasons,
    }
    if choice_file and key:
        choice = {"engine": best.engine, "precision": best.precision, "num_images": num_images, "report": report}
        pinned = choices.key(model, pixels.shape, f"{best.engine} {best.precision}")
        reasons += choices.write(choice_file, {key: choice, pinned: choice | {"num_images": None}})
    lines = (_summary(best, tried), *reasons)
    return CompiledBase(
        engine=best.engine, precision=best.precision, batch=best.batch, report=report, lines=lines, run=best.run
    )


def _race(
    source: TracedBase,
    plain: EngineTrial,
    pixels: Floats,
    reference: Floats,
    num_images: int | None,
    reasons: list[str],
) -> Iterator[EngineTrial]:
    """Try what could still be faster than the best so far by more than it costs, the most promising first."""
    best = plain
    entries = [(name, entry, precision) for name, entry in ENGINES.items() for precision in entry.precisions()]
    reasons += [f"not tried: {each.absent[0]}" for each in ENGINES.values() if each.missed and not each.precisions()]
    spared, moved = [], set()
    for name, entry, precision in sorted(entries, key=lambda each: -each[1].hope[each[2]]):
        hoped = plain.rate * entry.hope[precision]
        if name == "keras" or hoped <= _HARDLY * best.rate:
            continue
        if precision in moved:
            reasons.append(f"not tried: {name} {precision}, in which the features moved too far already")
            continue
        if num_images is not None:
            saving = num_images / best.rate - num_images / hoped
            if saving < entry.cost * plain.seconds:
                spared.append(f"{name} {precision}")
                continue
        found = attempt(source, name, entry, precision, pixels, reference, reasons)
        if found is None:
            continue
        if found.difference < TOLERANCE:
            yield found
            best = max(best, found, key=lambda each: each.rate)
        elif found.difference > 2 * TOLERANCE:
            moved.add(precision)  # Rounding is the same whoever rounds.
    if spared:
        reasons.append(f"not tried for {num_images:,} images: {', '.join(spared)}; building takes longer than it saves")


def _offered(engine: str, precision: str, offered: tuple[str, ...]) -> str:
    if precision in offered:
        return precision
    raise UserError(f"the engine `{engine}` offers no {precision} on this machine", f"choose {' or '.join(offered)}")


def _one(
    source: TracedBase, engine: str, wanted: tuple[str, ...], pixels: Floats, reference: Floats, reasons: list[str]
) -> EngineTrial:
    """The engine asked for, in the first of these precisions that gives the same features."""
    for precision in wanted:
        found = attempt(source, engine, ENGINES[engine], precision, pixels, reference, reasons)
        if found is not None and found.difference < TOLERANCE:
            return found
    raise UserError(f"the engine `{engine}` cannot run this network: {reasons[-1]}", "choose `--engine auto`")


def _summary(best: EngineTrial, tried: list[EngineTrial]) -> str:
    others = ", ".join(f"{each.name.replace('/', ' ')} {each.rate:.0f}" for each in tried if each.name != best.name)
    differing = f"; features differ by {best.difference:.1e}" if best.difference else ""
    beside = f" ({others})" if others else ""
    return f"engine: {best.engine} {best.precision}, {best.rate:.0f} images/s{beside}{differing}"
