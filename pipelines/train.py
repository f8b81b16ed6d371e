"""Trains a classifier on the user's images and leaves a complete run.

headstart train photos/ --backbone mobilenet_v2 --out runs/photos
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from pipelines.data.scan import require_data
from pipelines.reports.drawing import page_drawer
from pipelines.system.progress import PhaseTimer, Reporter, Silent
from pipelines.training.backbone_fit import fit_lines, resolve_fit
from pipelines.training.options_without_effect import options_without_effect
from pipelines.training.plan import TrainingPlan, look_up_names

if TYPE_CHECKING:
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.spec import TrainSpec


def train(spec: TrainSpec, *, force: bool = False, report: bool = False, reporter: Reporter | None = None) -> Manifest:
    """Train a classifier on the user's images and leave a complete run in `spec.out`.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        report: draw its page.
        reporter: shows notes and progress; nothing by default.

    Returns:
        The run's manifest.

    Raises:
        UserError: the data, the weights, the options or the folder are not usable.
    """
    reporter = reporter or Silent()
    timer = PhaseTimer()

    # Everything that can be wrong is found before what it does not need is imported.
    require_data(spec.data.path)
    names = look_up_names(spec)
    from pipelines.runs.manifest import RunRequest

    request = RunRequest(train=spec)  # as asked: the same command resumes it
    spec = replace(spec, network=resolve_fit(spec.network, [names.source]))
    for line in (
        *options_without_effect(spec, is_untrained=names.source.is_untrained),
        *fit_lines(spec.network, names.source),
    ):
        reporter.warn(line)
    from pipelines.training.opening import check_images, open_training
    from pipelines.training.preparation import preparing, with_known_blocks

    names = with_known_blocks(names, spec, reporter)
    listing, opened = open_training(spec, request, force=force, reporter=reporter)

    # Which images, which parts: every file is decoded once, while TensorFlow is imported and the backbone built.
    with preparing(names, spec, reporter) as names:
        dataset = check_images(listing, opened, spec, reporter)
    timer.end_phase("check")

    from pipelines.training.execute import execute_plan

    draw = page_drawer(spec.out, reporter) if report else None
    plan = TrainingPlan(spec=spec, names=names, dataset=dataset, folder=opened.folder, reporter=reporter, draw=draw)
    return execute_plan(plan, timer)
