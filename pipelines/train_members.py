"""Trains the members of an ensemble, each a run, and combines them into one model.

headstart train photos/ --backbone mobilenet_v2 --backbone resnet50 --head linear --head mlp --seeds 3 --out runs/photos
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError, lookup
from pipelines.data.dataset_file import write_dataset
from pipelines.data.scan import require_data
from pipelines.ensembles.methods import METHODS
from pipelines.members.processes import DATASET_FILE, train_in_processes
from pipelines.members.seeds import without_copies
from pipelines.members.spec import MEMBERS_FOLDER, Member, list_members, spec_of
from pipelines.reports.drawing import page_drawer
from pipelines.runs.layout import STATE_FOLDER, is_run
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.system.progress import PhaseTimer, Reporter, Silent
from pipelines.training.backbone_fit import fit_lines, resolve_fit
from pipelines.training.execute import describe_data
from pipelines.training.opening import check_images, open_training
from pipelines.training.options_without_effect import options_without_effect
from pipelines.training.plan import look_up_names
from pipelines.training.preparation import with_known_blocks

if TYPE_CHECKING:
    from pipelines.runs.ensemble_spec import MembersSpec
    from pipelines.runs.examples import Dataset


def train_members(
    spec: MembersSpec, *, force: bool = False, report: bool = False, reporter: Reporter | None = None
) -> Manifest:
    """Train the members of an ensemble and combine them into a run in `spec.common.out`.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        report: draw its page.
        reporter: shows notes and progress; nothing by default.

    Returns:
        The manifest of the ensemble. `missing` names the members that failed, twice where a second attempt can help.

    Raises:
        UserError: the options, the data, the weights or the folder are not usable; or no member could be trained.
    """
    reporter = reporter or Silent()
    timer = PhaseTimer()

    # Everything that can be wrong and needs no TensorFlow is found before anything is trained.
    require_data(spec.common.data.path)
    method = lookup(METHODS, spec.method, "ensemble method")
    request = RunRequest(members=spec)  # as asked: the same command resumes it
    spec, members, notes = _check_members(spec, reporter)
    for line in notes:
        reporter.warn(line)
    resumed = ": members that are complete stay as they are"
    listing, opened = open_training(spec.common, request, force=force, reporter=reporter, resumed=resumed)
    folder = opened.folder

    # Which images, which parts: once for all members.
    dataset = check_images(listing, opened, spec.common, reporter)
    write_dataset(folder / STATE_FOLDER / DATASET_FILE, dataset)
    notes = (*notes, *_check_folds(spec, dataset, reporter))
    timer.end_phase("check")

    # The members, one process a backbone.
    failures, ended = train_in_processes(spec, members, folder, reporter)
    timer.end_phase("members")
    trained = [member for member in members if is_run(folder / MEMBERS_FOLDER / member.name)]
    if not trained:
        raise _no_member(failures)

    # One model of them.
    from pipelines.ensembles.join import join
    from pipelines.ensembles.joined_run import JoinedRun
    from pipelines.ensembles.trained_members import load_members

    loaded = load_members(trained, folder, dataset, spec, method)
    run = JoinedRun(
        folder=folder,
        spec=RunRequest(members=spec),
        data=describe_data(dataset),
        notes=(*notes, *ended, *_failure_lines(failures), *loaded.notes),
        seconds=timer.seconds,
        missing={name: error.message for name, error in failures.items()},
        draw=page_drawer(spec.common.out, reporter) if report else None,
    )
    return join(loaded.predictions, loaded.images, loaded.request, run, reporter=reporter)


def _no_member(failures: Mapping[str, UserError]) -> UserError:
    first = next(iter(failures.values()))
    return UserError(f"no member could be trained; the first: {first.message}", first.hint)


def _failure_lines(failures: Mapping[str, UserError]) -> list[str]:
    return [f"{name} failed: {error.message}" for name, error in failures.items()]


def _check_members(spec: MembersSpec, reporter: Reporter) -> tuple[MembersSpec, tuple[Member, ...], tuple[str, ...]]:
    """Refuse what no member can be trained with.

    A run or a file whose blocks are to be fine-tuned is built for that, for no table lists them.

    Returns:
        What is asked for, filled in; the members; and a line for each group of options without effect on one.
    """
    names = {member: look_up_names(spec_of(spec, member, Path())) for member in list_members(spec)}
    for looked_up in {names[member].source.name: names[member] for member in names}.values():
        with_known_blocks(looked_up, spec.common, reporter)
    network = resolve_fit(spec.common.network, [looked_up.source for looked_up in names.values()])
    spec = replace(spec, common=replace(spec.common, network=network))
    members, lines = without_copies(spec, names)
    notes = dict.fromkeys(lines)
    for member in members:
        source = names[member].source
        asked = spec_of(spec, member, Path())
        notes |= dict.fromkeys(options_without_effect(asked, is_untrained=source.is_untrained))
        notes |= dict.fromkeys(fit_lines(network, source))
    return spec, members, tuple(notes)


def _check_folds(spec: MembersSpec, dataset: Dataset, reporter: Reporter) -> tuple[str, ...]:
    """Refuse, before anything is trained, a division into folds that is not possible.

    Returns:
        What is said of one that is.
    """
    if spec.boost:
        from pipelines.members.held_out import divide_held_out

        divide_held_out(dataset, seed=spec.common.fit.seed)
    if spec.folds:
        from pipelines.data.folds import describe_groups, divide_folds

        divide_folds(dataset, spec.folds, seed=spec.common.fit.seed)
        if groups := describe_groups(dataset):
            reporter.note(groups)
            return (groups,)
    return ()
