"""The story of an ensemble that is trained at once: the members, each a run of its own, then one model of them.

headstart train photos/ --backbone mobilenet_v2 --backbone resnet50 --head linear --head mlp --seeds 3 --out runs/photos
"""

from __future__ import annotations

import itertools
import pickle
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError, lookup
from pipelines.data.scan import scan
from pipelines.members.spec import Member, MembersSpec, list_members, spec_of
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.folder import open_run, write_split
from pipelines.runs.manifest import STATE_FOLDER, Manifest, is_run
from pipelines.runs.models import load_run
from pipelines.system.files import atomic
from pipelines.system.progress import PhaseTimer, Reporter, Silent
from pipelines.system.worker import run_in_worker
from pipelines.training.backbone import find_backbone
from pipelines.training.execute import data_of
from pipelines.training.plan import head_of, options_without_effect, refuse_nonsense

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.ensembles.member_predictions import Images, MemberPredictions

MEMBERS = "members"


def train_members(spec: MembersSpec, *, force: bool = False, reporter: Reporter | None = None) -> Manifest:
    """Train the members of an ensemble and join them to a run in `spec.common.out`.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        reporter: where words and progress go; nowhere by default.

    Returns:
        The manifest of the joined run. A member that failed is named in its notes.

    Raises:
        UserError: something the user can mend: the options, the data, the weights, the folder; or no member survived.
    """
    say = reporter or Silent()
    clock = PhaseTimer()

    # Everything that can be wrong and needs no TensorFlow is found before anything is trained.
    members = list_members(spec)
    from pipelines.ensembles.methods import METHODS

    lookup(METHODS, spec.method, "ensemble method")
    idle: dict[str, None] = {}
    for member in members:
        one = spec_of(spec, member, Path())
        head_of(one)
        source = find_backbone(one.backbone, one.weights)
        refuse_nonsense(one, source)
        idle |= dict.fromkeys(options_without_effect(one, untrained=source.untrained))
        if source.untrained and (spec.bag or spec.boost):
            raise UserError(
                f"`{source.name}` starts from random weights: it has no cached features to weigh",
                "leave --bag and --boost away",
            )
    for line in idle:
        say.warn(line)
    listing = scan(spec.common.data, reporter=say)
    folder, resumed = open_run(spec.common.out, asdict(spec), force=force)
    if resumed:
        say.note("going on with the interrupted training: members that are complete stay as they are")

    # Which images, which parts: once for all members.
    from pipelines.data.check import check

    dataset = check(listing, strict=spec.common.strict, reporter=say)
    for remark in dataset.remarks:
        say.note(remark)
    write_split(folder, dataset)
    shared = folder / STATE_FOLDER / "dataset.pickle"
    with atomic(shared) as temporary:
        temporary.write_bytes(pickle.dumps(dataset))
    if spec.folds:
        from pipelines.data.folds import divide_folds

        divide_folds(dataset, spec.folds, seed=spec.common.seed)  # what is wrong with them is told before training
    clock.lap("check")

    # The members, one process a backbone.
    failures = _train(spec, members, folder, shared, say)
    clock.lap("members")

    # One model of those that survived.
    survivors = [each for each in members if is_run(folder / MEMBERS / each.name)]
    if not survivors:
        first = next(iter(failures.values()))
        raise UserError(f"no member could be trained; the first: {first.message}", first.hint)
    from pipelines.ensembles.join import join
    from pipelines.ensembles.member_predictions import EnsembleRequest

    loaded = _load(survivors, folder, dataset, spec)
    manifest = join(
        loaded.voters,
        loaded.images,
        folder,
        EnsembleRequest(method=spec.method, seed=spec.common.seed, votes=loaded.votes),
        spec=asdict(spec),
        data=data_of(dataset),
        notes=[*idle, *(f"{name} failed: {error.message}" for name, error in failures.items()), *loaded.notes],
        seconds=clock.laps,
        reporter=say,
    )
    return manifest


def _train(
    spec: MembersSpec, members: Sequence[Member], folder: Path, dataset: Path, say: Reporter
) -> dict[str, UserError]:
    """Train what is not complete; what failed, and why."""
    failures: dict[str, UserError] = {}
    open_members = [each for each in members if not is_run(folder / MEMBERS / each.name)]
    (folder / MEMBERS).mkdir(exist_ok=True)
    with say.task("members", len(members)) as task:
        task.advance(len(members) - len(open_members))

        def hear(event: dict[str, Any]) -> None:
            if "failed" in event:
                failures[event["failed"]] = UserError(event["message"], event["hint"])
                say.warn(f"{event['failed']} failed: {event['message']}")
            task.advance()

        for backbone, group in itertools.groupby(open_members, key=lambda each: each.backbone):
            todo = list(group)
            order = {
                "spec": asdict(spec),
                "members": [asdict(each) for each in todo],
                "out": str(folder.absolute()),
                "dataset": str(dataset.absolute()),
            }
            try:
                run_in_worker("pipelines.members.member_training", order, reporter=say, on_event=hear)
            except UserError as error:
                say.warn(f"{backbone}: {error.message}")
                lost = [each for each in todo if not is_run(folder / MEMBERS / each.name)]
                failures |= {each.name: error for each in lost if each.name not in failures}
    return failures


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Loaded:
    voters: list[MemberPredictions]
    images: Images
    votes: tuple[float, ...] | None
    notes: list[str]


def _load(members: Sequence[Member], folder: Path, dataset: Dataset, spec: MembersSpec) -> _Loaded:
    """The members with what they answered; of a group that lacks a fold, nothing can be told out of fold."""
    import numpy as np

    from pipelines.data.folds import divide_folds, pooled
    from pipelines.ensembles.member_predictions import Images, LoadedMember, MemberPredictions
    from pipelines.evaluation.saved_predictions import read_predictions

    names = dataset.class_names
    groups = {name: list(each) for name, each in itertools.groupby(members, key=lambda each: each.group)}
    broken = [name for name, each in groups.items() if spec.folds and len(each) < spec.folds]
    groups = {name: each for name, each in groups.items() if name not in broken}
    if not groups:
        raise UserError(
            "each group of folds has lost a member", "mend what made them fail, and train again with --force"
        )
    folds: NDArray[np.int64] | None = None
    held_out: tuple[Example, ...] = dataset.part("validation")
    if spec.folds:
        held_out = pooled(dataset)
        folds = np.zeros(len(held_out), np.int64)
        for number, one in enumerate(divide_folds(dataset, spec.folds, seed=spec.common.seed)):
            folds[[each.split == "validation" for each in one.examples[: len(held_out)]]] = number
    bases: dict[Path, Any] = {}
    voters, votes = [], []
    for name, group in groups.items():
        answers = np.zeros((len(held_out), len(names)))
        models = []
        for member in group:
            path = folder / MEMBERS / member.name
            model, manifest = load_run(path, bases)
            validation, test = read_predictions(path, "validation"), read_predictions(path, "test")
            assert validation is not None
            answers[slice(None) if folds is None else folds == member.fold] = validation.probabilities
            models.append(
                LoadedMember(
                    name=member.name,
                    folder=path,
                    manifest=manifest,
                    model=model,
                    columns=tuple(range(len(names))),
                    fold=member.fold,
                    test=np.zeros((0, len(names))) if test is None else test.probabilities.astype(np.float64),
                )
            )
            votes.append(float(manifest.extra.get("boost", {}).get("weight", 1.0)))
        voters.append(MemberPredictions(name=name, models=tuple(models), answers=answers, folds=folds))
    every = tuple(
        replace(each, split="train") if folds is not None and each.split != "test" else each
        for each in dataset.examples
    )
    return _Loaded(
        voters=voters,
        images=Images(fit=held_out, test=dataset.part("test"), every=every, class_names=names),
        votes=tuple(votes) if spec.boost and any(votes) else None,
        notes=[f"{name} is left out: one of its folds failed" for name in broken],
    )
