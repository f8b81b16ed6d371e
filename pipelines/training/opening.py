"""Lists the images of a training and opens the folder of its run, before anything heavy is imported."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pipelines.data.outside import require_outside
from pipelines.data.same_images import OpenedRun
from pipelines.data.scan import scan
from pipelines.runs.folder import open_run

if TYPE_CHECKING:
    from pipelines.data.listing import Listing
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
