"""Lists the images of a training and opens the folder of its run, before TensorFlow is imported; then checks them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.data.check import check
from pipelines.data.outside import require_outside
from pipelines.data.same_images import OpenedRun, joins_near_duplicates, write_split_once
from pipelines.data.scan import scan
from pipelines.data.summary import audit_line, summarise
from pipelines.runs.folder import open_run

if TYPE_CHECKING:
    from pipelines.data.listing import Listing
    from pipelines.runs.examples import Dataset
    from pipelines.runs.manifest import RunRequest
    from pipelines.runs.spec import TrainSpec
    from pipelines.system.progress import Reporter


def open_training(
    spec: TrainSpec, request: RunRequest, *, force: bool, reporter: Reporter, resumed: str = ""
) -> tuple[Listing, OpenedRun]:
    """List the images, then make or reopen the folder of the run, and say where it is.

    Args:
        spec: of the training, or what all members of an ensemble share.
        request: what is asked for.
        force: replace a run that is there.
        reporter: says where the run goes, and whether an interrupted training is resumed.
        resumed: what to add to the latter.

    Raises:
        UserError: the data or the folder is not usable.
    """
    listing = scan(spec.data.path, reporter=reporter)
    require_outside(spec.data.path, spec.out)
    folder, is_resumed = open_run(spec.out, request, force=force, reporter=reporter)
    reporter.note(f"training into `{spec.out}`")
    if is_resumed:
        reporter.note(f"resuming the interrupted training{resumed}")
    return listing, OpenedRun(folder=folder, request=request, is_resumed=is_resumed, force=force)


def check_images(listing: Listing, opened: OpenedRun, spec: TrainSpec, reporter: Reporter) -> Dataset:
    """Check the images, give each its part, and say what was understood; those of a run that is resumed stay the same.

    Args:
        listing: the files.
        opened: the run.
        spec: of the training, or what all members of an ensemble share.
        reporter: shows progress and remarks.

    Raises:
        UserError: the images are not usable, or are not those that the training began with.
    """
    joins = joins_near_duplicates(opened)
    dataset = check(listing, strict=spec.data.strict, joins_near_duplicates=joins, reporter=reporter)
    for remark in (*summarise(dataset), *dataset.remarks):
        reporter.note(remark)
    if (line := audit_line(dataset)) is not None:
        reporter.note(line)
    write_split_once(opened, dataset, reporter)
    return dataset
