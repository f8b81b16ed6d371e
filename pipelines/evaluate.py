"""Evaluates a run on labelled images.

headstart evaluate runs/photos photos/ --split test
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.data.class_names import align
from pipelines.data.outside import require_outside
from pipelines.data.scan import scan
from pipelines.evaluation.selection import Selection, select_examples
from pipelines.inference.test_time import ViewsGain, predict_with_gain, require_views, warn_of_needless_views
from pipelines.reports.drawing import draw_into
from pipelines.reports.place import require_folder
from pipelines.runs.examples import Part
from pipelines.runs.manifest import Manifest
from pipelines.runs.models import load_run
from pipelines.runs.read_manifest import read_manifest
from pipelines.runs.report import Json, Report
from pipelines.runs.split_file import read_split
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    from models.arrays import Probabilities
    from pipelines.evaluation.conformal import SetRule
    from pipelines.evaluation.coverage import Coverage


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


def evaluate(
    run: str,
    data: str,
    *,
    split: Part = "auto",
    cache: bool = True,
    tta: str | None = None,
    coverage: float | None = None,
    is_by_class: bool = False,
    out: str | None = None,
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
        out: folder that gets `confusion.png`, `classes.png` and `mistakes.png`; made if need be. None for no pictures.
        reporter: where progress goes; nowhere by default.

    Raises:
        UserError: the run or the data is unusable, the data has classes that the run does not know, or `out` is no
            place for pictures.
    """
    reporter = reporter or Silent()
    manifest = read_manifest(run)
    if out is not None:
        require_outside(data, out, subject="the pictures")
        require_folder(out)
    rule = _set_rule(run, manifest, coverage, is_by_class=is_by_class, tta=tta)
    warn_of_needless_views(tta, manifest, reporter)
    selection, num_skipped = _read_images(run, manifest, data, split, reporter)

    import numpy as np

    from pipelines.evaluation.coverage import measure_coverage
    from pipelines.evaluation.metrics import report

    examples = selection.examples
    probabilities, how, gain = _predict(run, manifest, selection, cache=cache, tta=tta, reporter=reporter)
    labels = np.asarray([example.label for example in examples], np.int32)
    scores = report(probabilities, labels, manifest.class_names)
    if out is not None:
        draw_into(Path(out), scores, (probabilities, labels), examples, reporter)
    return Evaluation(
        report=scores,
        part=selection.part,
        remarks=selection.remarks,
        skipped=num_skipped,
        how=how,
        tta=gain,
        coverage=None if rule is None else measure_coverage(probabilities, labels, rule, manifest.class_names),
    )


def _predict(
    run: str, manifest: Manifest, selection: Selection, *, cache: bool, tta: str | None, reporter: Reporter
) -> tuple[Probabilities, str, ViewsGain | None]:
    """Probabilities (images, classes), how they were computed, and what views gained where there are several."""
    from pipelines.inference.examples import predict_examples

    examples = selection.examples
    if tta is None:
        return *predict_examples(run, manifest, examples, cache=cache, reporter=reporter), None
    model, _ = load_run(run)
    probabilities, gain = predict_with_gain(
        model, examples, tta, fit=manifest.fit, part=selection.part, reporter=reporter
    )
    reporter.note(gain.line)
    return probabilities, f"the saved model, float32, mean of {gain.views} views", gain


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
