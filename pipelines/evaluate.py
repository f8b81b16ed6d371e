"""The story of an evaluation: a run, labelled images, and what the run is worth on them.

headstart evaluate runs/photos photos/ --split test
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Literal

from models.errors import UserError
from pipelines.data.class_names import align
from pipelines.data.scan import scan
from pipelines.inference.test_time import answers_with_gain, require
from pipelines.runs.examples import SPLITS, Dataset, Example
from pipelines.runs.folder import read_split
from pipelines.runs.manifest import read_manifest
from pipelines.runs.models import load_run
from pipelines.runs.report import Report
from pipelines.system.progress import Reporter, Silent

if TYPE_CHECKING:
    from numpy.typing import NDArray

Part = Literal["auto", "all", "train", "validation", "test"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Evaluation:
    """A report, and what was judged.

    Attributes:
        report: the figures.
        part: which images: a part, or `all`.
        remarks: lines the user should read.
        skipped: files that are no readable image.
        how: `cached features (...)` or `float32 model`.
        tta: what averaging over views brought and cost; None where it was not asked for.
    """

    report: Report
    part: str
    remarks: tuple[str, ...]
    skipped: int
    how: str
    tta: dict[str, Any] | None = None


def evaluate(
    run: str,
    data: str,
    *,
    split: Part = "auto",
    cache: bool = True,
    tta: str | None = None,
    reporter: Reporter | None = None,
) -> Evaluation:
    """Judge a run on labelled images.

    Args:
        run: folder of a complete run.
        data: as for training; classes are matched to the run's by name.
        split: which part of the data. `auto` takes the test part where the data has parts of its own, and else
            every image that the run was not trained or chosen on.
        cache: use cached features where the backbone is a frozen base; else the saved model in float32.
        tta: views to average over (see `pipelines.inference.test_time`), on the saved model; None for
            the images as they are.
        reporter: where words go.

    Raises:
        UserError: the run or the data is unusable, or the data has classes that the run does not know.
    """
    say = reporter or Silent()
    if tta is not None:
        require(tta)
    manifest = read_manifest(run)
    listing = scan(data, for_training=False, reporter=say)
    alignment = align(listing.class_names, manifest.class_names)

    from pipelines.data.check import check

    divided = any(entry.split is not None for entry in listing.entries)
    dataset = check(listing, for_training=False, reporter=say)
    chosen, part, remarks = _choose(dataset, divided=divided, run=run, names=manifest.class_names, split=split)
    if not chosen:
        raise UserError(
            f"`{data}` has no image in the part `{part}`", "name another part with --split, or `--split all`"
        )
    examples = [replace(each, label=alignment.labels[each.label]) for each in chosen]
    for line in (*alignment.remarks, *remarks):
        say.note(line)

    import numpy as np

    from pipelines.evaluation.metrics import report
    from pipelines.inference.examples import predict_examples

    gain = None
    if tta is None:
        probabilities, how = predict_examples(run, manifest, examples, cache=cache, reporter=say)
    else:
        probabilities, gain = answers_with_gain(load_run(run)[0], examples, tta, reporter=say)
        how = f"the saved model, float32, mean of {gain.views} views"
        say.note(gain.line)
    labels: NDArray[np.int32] = np.asarray([each.label for each in examples], np.int32)
    return Evaluation(
        report=report(probabilities, labels, manifest.class_names),
        part=part,
        remarks=(*alignment.remarks, *remarks),
        skipped=len(dataset.skipped),
        how=how,
        tta=None if gain is None else asdict(gain),
    )


def _choose(
    dataset: Dataset, *, divided: bool, run: str, names: tuple[str, ...], split: Part
) -> tuple[Sequence[Example], str, tuple[str, ...]]:
    """The images to judge, what they are called, and what the user should know of them."""
    known = {each.sha256: each.split for each in read_split(run, names)}
    if split == "auto" and divided and dataset.part("test"):
        chosen, part = dataset.part("test"), "test"
    elif split == "auto" and divided:
        chosen, part = dataset.part("validation") or dataset.examples, "validation"
    elif split == "auto":
        chosen = tuple(each for each in dataset.examples if known.get(each.sha256, "test") == "test")
        part = "all" if len(chosen) == len(dataset.examples) else "test"
    elif split == "all":
        chosen, part = dataset.examples, "all"
    elif divided:
        chosen, part = dataset.part(split), split
    else:
        # Undivided data: an image belongs where the run had it; one that the run never saw tests it.
        chosen = tuple(each for each in dataset.examples if known.get(each.sha256, "test") == split)
        part = split
    remarks = []
    left_out = len(dataset.examples) - len(chosen)
    if split == "auto" and not divided and left_out:
        remarks.append(
            f"{left_out:,} images that the run was trained or chosen on are left out; --split all judges them too"
        )
    seen = sum(known.get(each.sha256) in SPLITS[:2] for each in chosen)
    if seen:
        remarks.append(
            f"{seen:,} of {len(chosen):,} images took part in the run's training: these figures are too good"
        )
    return chosen, part, tuple(remarks)
