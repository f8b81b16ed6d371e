"""Evaluates a run on labelled images.

headstart evaluate runs/photos photos/ --split test
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.data.class_names import align
from pipelines.data.scan import scan
from pipelines.inference.test_time import ViewsGain, predict_with_gain, require_views
from pipelines.runs.examples import Dataset, Example, Part, Split
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.report import Json, Report
from pipelines.runs.split_file import read_split
from pipelines.system.progress import Reporter, Silent
from pipelines.system.text import counted

if TYPE_CHECKING:
    from pipelines.evaluation.conformal import SetRule
    from pipelines.evaluation.coverage import Coverage

HELD_OUT: tuple[Split, ...] = ("test", "validation")


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A report, and the images that it is about.

    Attributes:
        report: the scores.
        part: which images: `train`, `validation`, `test` or `all`.
        remarks: lines the user should read.
        skipped: number of files that are not readable images.
        how: how the predictions were computed: `cached features (...)` or `the saved model, float32 ...`.
        tta: gain and cost of averaging over views; None where it was not asked for.
        coverage: of sets of classes; None where it was not asked for.
    """

    report: Report
    part: str
    remarks: tuple[str, ...]
    skipped: int
    how: str
    tta: ViewsGain | None = None
    coverage: Coverage | None = None

    def to_json(self) -> Json:
        """What `evaluate --json` prints."""
        return self.report.to_json() | {
            "part": self.part,
            "remarks": list(self.remarks),
            "skipped": self.skipped,
            "how": self.how,
            "tta": None if self.tta is None else self.tta.to_json(),
            "coverage": None if self.coverage is None else self.coverage.to_json(),
        }


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


def evaluate(
    run: str,
    data: str,
    *,
    split: Part = "auto",
    cache: bool = True,
    tta: str | None = None,
    coverage: float | None = None,
    is_by_class: bool = False,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Evaluate a run on labelled images.

    Args:
        run: folder of a complete run.
        data: as for training; classes are matched to the run's by name.
        split: which part of the data. `auto`: where the data has parts of its own, the test part, else the validation
            part, else all; of undivided data every image that the run was not trained or chosen on.
        cache: use cached features where the backbone is frozen; otherwise the saved model in float32.
        tta: views to average over (see `pipelines.inference.test_time`), on the saved model; None for the images as
            they are.
        coverage: that sets of classes are made for, in (0, 1); None for no sets.
        is_by_class: promise it within each class.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: the run or the data is unusable, or the data has classes that the run does not know.
    """
    reporter = reporter or Silent()
    manifest = read_manifest(run)
    rule = _set_rule(run, manifest, coverage, is_by_class=is_by_class, tta=tta)
    selection, num_skipped = _read_images(run, manifest, data, split, reporter)

    import numpy as np

    from pipelines.evaluation.coverage import measure_coverage
    from pipelines.evaluation.metrics import report
    from pipelines.inference.examples import predict_examples

    examples, gain = selection.examples, None
    if tta is None:
        probabilities, how = predict_examples(run, manifest, examples, cache=cache, reporter=reporter)
    else:
        model, _ = load_run(run)
        probabilities, gain = predict_with_gain(
            model, examples, tta, fit=manifest.fit, part=selection.part, reporter=reporter
        )
        how = f"the saved model, float32, mean of {gain.views} views"
        reporter.note(gain.line)
    labels = np.asarray([example.label for example in examples], np.int32)
    return Evaluation(
        report=report(probabilities, labels, manifest.class_names),
        part=selection.part,
        remarks=selection.remarks,
        skipped=num_skipped,
        how=how,
        tta=gain,
        coverage=None if rule is None else measure_coverage(probabilities, labels, rule, manifest.class_names),
    )


def _set_rule(
    run: str, manifest: Manifest, coverage: float | None, *, is_by_class: bool, tta: str | None
) -> SetRule | None:
    """The rule of the sets for a coverage, None where none was asked for; refuses views that there are not."""
    from pipelines.evaluation.conformal import refuse_sets_of_views
    from pipelines.inference.decisions import read_decisions

    rule = read_decisions(run, manifest, coverage=coverage, is_by_class=is_by_class, costs=None).sets
    if tta is not None:
        require_views(tta)
        refuse_sets_of_views(rule)
    return rule


def _read_images(run: str, manifest: Manifest, data: str, split: Part, reporter: Reporter) -> tuple[Selection, int]:
    """The images to evaluate on, labelled by the run's classes, and how many files are not readable; says remarks."""
    listing = scan(data, for_training=False, reporter=reporter)
    alignment = align(listing.class_names, manifest.class_names)

    from pipelines.data.check import check

    dataset = check(listing, for_training=False, reporter=reporter)
    run_parts = {example.sha256: example.split for example in read_split(run, manifest.class_names)}
    selection = select_examples(dataset, run_parts, is_divided=listing.has_given_parts, split=split)
    if not selection.examples:
        raise UserError(
            f"`{data}` has no images in the part `{selection.part}`", "name another part with --split, or `--split all`"
        )
    aligned = Selection(
        examples=[replace(example, label=alignment.labels[example.label]) for example in selection.examples],
        part=selection.part,
        remarks=(*alignment.remarks, *selection.remarks),
    )
    for remark in aligned.remarks:
        reporter.note(remark)
    return aligned, len(dataset.skipped)


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
