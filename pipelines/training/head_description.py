"""Describes how a linear head was chosen, for run.json and for people."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from pipelines.runs.cross_validation_record import AveragedHead, CrossValidationRecord, FeatureLayers

if TYPE_CHECKING:
    from pipelines.fitting.head_choice import HeadChoice
    from pipelines.fitting.penalty_path import Path
    from pipelines.training.head_division import DividedImages


def describe(
    paths: Mapping[FeatureLayers, Path], choice: HeadChoice, images: DividedImages, temperature: float | None
) -> CrossValidationRecord | None:
    """The record for run.json; None without cross-validation.

    Args:
        paths: of each set of features.
        choice: of the head.
        images: divided.
        temperature: of the head; None for none.
    """
    if images.folds is None or images.look_alikes is None:
        return None
    best = {name: path.best for name, path in paths.items()}
    return CrossValidationRecord(
        folds=images.folds.count,
        look_alikes=images.look_alikes.record,
        held_out=int(images.division.is_held_out.sum()),
        out_of_fold_loss={name: round(solution.deciding.loss, 5) for name, solution in best.items()},
        validation_loss={
            name: round(solution.validation.loss, 5) for name, solution in best.items() if solution.validation
        },
        averaged={
            part.features: AveragedHead(l2=part.solution.l2, share=round(part.share, 4))
            for part in choice.parts
            if part.share < 1
        },
        averaged_loss=round(choice.loss, 5) if len(choice.parts) > 1 else None,
        decider=choice.decider,
        fitted=len(images.examples),
        temperature=None if temperature is None else round(temperature, 4),
        note=images.folds.note,
        warning=choice.warning,
    )


def lines_of(images: DividedImages, line: str) -> list[str]:
    """What was done, for people.

    Args:
        images: divided.
        line: which head was chosen, and by what.
    """
    if images.folds is None or images.look_alikes is None:
        return [line]
    notes = [images.look_alikes.record.line]
    notes += [images.folds.note] if images.folds.note else []
    fitted = f"fitted once more to all {len(images.examples):,} training and validation images"
    return [*notes, f"{line}, in {images.folds.count} folds; {fitted}"]
