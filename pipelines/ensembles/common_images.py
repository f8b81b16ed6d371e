"""The images that runs trained apart have in common: to fit their weights on, and to judge them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.errors import UserError
from pipelines.runs.examples import SPLITS, Example
from pipelines.runs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """A run that was trained apart.

    Attributes:
        run: its folder, as the user named it.
        name: short, and its own.
        manifest: of it.
        examples: its images with the parts they had.
    """

    run: str
    name: str
    manifest: Manifest
    examples: tuple[Example, ...]


def common_images(
    members: Sequence[TrainedRun], class_names: tuple[str, ...]
) -> tuple[tuple[Example, ...], tuple[Example, ...], tuple[Example, ...]]:
    """Images to fit on, to judge on, and all with the part they had.

    Args:
        members: the runs.
        class_names: what the labels of the result index.

    Raises:
        UserError: there is no image that no member was trained on.
    """
    numbers = {name: number for number, name in enumerate(class_names)}
    first: dict[str, Example] = {}
    parts: dict[str, set[str]] = {}
    for member in members:
        for each in member.examples:
            first.setdefault(each.sha256, replace(each, label=numbers[member.manifest.class_names[each.label]]))
            parts.setdefault(each.sha256, set()).add(each.split)
    first = dict(sorted(first.items(), key=lambda item: item[1].path))
    # A member answers some training images out of fold: they are as good as validation images.
    unseen = [_validated(each) for each in members]
    trained = [{each.sha256 for each in member.examples if each.split == "train"} for member in members]
    usable = set.intersection(*unseen)
    for mine, seen in zip(trained, unseen, strict=True):
        usable -= mine - seen
    if not usable:
        raise UserError(
            "the runs have no validation image in common that none of them was trained on",
            "train them on the same data, or all at once: headstart train DATA --backbone A --backbone B --out RUN",
        )
    tested = [{each.sha256 for each in member.examples if each.split == "test"} for member in members]
    untouched = set.intersection(*tested) - {sha for sha, found in parts.items() if found != {"test"}}
    strictest = {sha: min(found, key=lambda part: SPLITS.index(part)) for sha, found in parts.items()}
    every = tuple(replace(each, split=strictest[sha]) for sha, each in first.items())  # type: ignore[arg-type]
    fit = tuple(each for sha, each in first.items() if sha in usable)
    return fit, tuple(each for sha, each in first.items() if sha in untouched), every


def _validated(member: TrainedRun) -> set[str]:
    from pipelines.evaluation.saved_predictions import read_predictions

    kept = read_predictions(member.run, "validation")
    out_of_fold = {each.decode() for each in kept.sha256} if kept is not None else set()
    return {each.sha256 for each in member.examples if each.split == "validation"} | out_of_fold
