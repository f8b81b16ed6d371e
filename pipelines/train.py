"""The story of a training: an image folder in, a run out.

headstart train photos/ --backbone resnet50 --out runs/photos
"""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING

from pipelines.data.scan import scan
from pipelines.runs.folder import open_run, write_split
from pipelines.runs.manifest import Manifest
from pipelines.runs.spec import TrainSpec
from pipelines.system.progress import PhaseTimer, Reporter, Silent
from pipelines.training.execute import execute_plan
from pipelines.training.plan import TrainingPlan, head_of, options_without_effect, refuse_nonsense

if TYPE_CHECKING:
    pass


def train(spec: TrainSpec, *, force: bool = False, reporter: Reporter | None = None) -> Manifest:
    """Train a classifier on the user's images and leave a complete run in `spec.out`.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        reporter: where words and progress go; nowhere by default.

    Returns:
        The run's manifest.

    Raises:
        UserError: something the user can mend: the data, the weights, the folder.
    """
    say = reporter or Silent()
    clock = PhaseTimer()

    # Everything that can be wrong and needs no TensorFlow is found before it is imported.
    head = head_of(spec)
    from pipelines.training.backbone import find_backbone

    source = find_backbone(spec.backbone, spec.weights)
    refuse_nonsense(spec, source)
    for line in options_without_effect(spec, untrained=source.untrained):
        say.warn(line)
    listing = scan(spec.data, reporter=say)
    folder, resumed = open_run(spec.out, asdict(spec), force=force)
    if resumed:
        say.note("going on with the interrupted training")

    # Which images, which parts: every file is decoded once.
    from pipelines.data.check import check

    dataset = check(listing, strict=spec.strict, reporter=say)
    for remark in dataset.remarks:
        say.note(remark)
    write_split(folder, dataset)
    clock.lap("check")

    work = TrainingPlan(spec=spec, head=head, source=source, dataset=dataset, folder=folder, reporter=say)
    return execute_plan(work, clock)
