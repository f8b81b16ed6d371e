"""Selects the images that an evaluation is about."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pipelines.runs.examples import Dataset, Example, Part, Split
from pipelines.system.text import counted

HELD_OUT: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Selection:
    """The images to evaluate on.

    Attributes:
        examples: the images.
        part: which they are: `train`, `validation`, `test` or `all`.
        remarks: lines the user should read.
    """

    examples: Sequence[Example]
    part: str
    remarks: tuple[str, ...]


def select_examples(dataset: Dataset, run_parts: Mapping[str, Split], *, is_divided: bool, split: Part) -> Selection:
    """Select the images to evaluate on.

    Args:
        dataset: the data, as `check` gives it for evaluation.
        run_parts: content hash -> part of the run that the image belongs to; images that the run never saw are
            missing.
        is_divided: whether the data has parts of its own.
        split: as for `evaluate`.
    """
    part: str
    if split == "all":
        examples, part = dataset.examples, "all"
    elif split == "auto":
        examples, part = _held_out(dataset) if is_divided else _unseen(dataset, run_parts)
    elif is_divided:
        examples, part = dataset.part(split), split
    else:
        examples, part = _part_of_run(dataset, run_parts, split), split
    remarks = _remarks(dataset, examples, run_parts, is_left_out=split == "auto" and not is_divided)
    return Selection(examples=examples, part=part, remarks=tuple(remarks))


def _held_out(dataset: Dataset) -> tuple[tuple[Example, ...], str]:
    """The test part of divided data; else the validation part; else all, where it has neither."""
    for part in HELD_OUT:
        if examples := dataset.part(part):
            return examples, part
    return dataset.examples, "all"


def _unseen(dataset: Dataset, run_parts: Mapping[str, Split]) -> tuple[tuple[Example, ...], str]:
    """The images of undivided data that the run was not trained or chosen on."""
    examples = _part_of_run(dataset, run_parts, "test")
    return examples, "all" if len(examples) == len(dataset.examples) else "test"


def _part_of_run(dataset: Dataset, run_parts: Mapping[str, Split], part: Split) -> tuple[Example, ...]:
    """The images of undivided data that belong to a part of the run; images that it never saw belong to `test`."""
    return tuple(example for example in dataset.examples if run_parts.get(example.sha256, "test") == part)


def _remarks(
    dataset: Dataset, examples: Sequence[Example], run_parts: Mapping[str, Split], *, is_left_out: bool
) -> list[str]:
    """Lines about images of the run's training and validation parts: left out, or evaluated on."""
    remarks = []
    num_left_out = len(dataset.examples) - len(examples)
    if is_left_out and num_left_out:
        verb, pronoun = ("is", "it") if num_left_out == 1 else ("are", "them")
        remarks.append(
            f"{counted(num_left_out, 'image')} that the run was trained or chosen on {verb} left out; "
            f"--split all includes {pronoun}"
        )
    num_seen = sum(run_parts.get(example.sha256) in ("train", "validation") for example in examples)
    if num_seen:
        remarks.append(
            f"{num_seen:,} of {counted(len(examples), 'image')} took part in the run's training: "
            "these scores are too good"
        )
    return remarks
