"""Join members that are trained to one run: fitted on what they answered to images none of them was trained on."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from models.ensemble import combine
from models.pools import Stack
from pipelines.ensembles.costs import costs_of
from pipelines.ensembles.frozen_bases import record_bases
from pipelines.ensembles.member_predictions import EnsembleRequest, Images, LoadedMember, MemberPredictions
from pipelines.ensembles.methods import EnsembleWeights, fit, pooled
from pipelines.ensembles.picture import PICTURE, draw_ensemble
from pipelines.ensembles.ranking import rank_members
from pipelines.ensembles.selection import Budget, Cost, affordable
from pipelines.evaluation.calibration import fit_temperature
from pipelines.evaluation.metrics import report
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.runs.examples import Example, Split
from pipelines.runs.folder import finish_run
from pipelines.runs.manifest import Agreement, BackboneRecord, DataRecord, HeadRecord, Manifest, RunRequest
from pipelines.runs.models import save_model
from pipelines.system.files import write_csv
from pipelines.system.progress import Reporter
from pipelines.system.versions import versions

if TYPE_CHECKING:
    import keras

    from pipelines.evaluation.predictions import Predictions

Floats = NDArray[np.float64]
AGREEMENT_IMAGES = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRun:
    """What the manifest of an ensemble needs beside the ensemble.

    Attributes:
        folder: of the run, opened by `pipelines.runs.folder.open_run`.
        spec: what was asked for.
        data: which images.
        notes: what was done otherwise than asked or expected.
        seconds: phases before this one.
    """

    folder: Path
    spec: RunRequest
    data: DataRecord
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)


def join(
    voters: Sequence[MemberPredictions],
    images: Images,
    wish: EnsembleRequest,
    run: JoinedRun,
    *,
    reporter: Reporter,
) -> Manifest:
    """Combine members, evaluate the result, and complete its run.

    Args:
        voters: at least one.
        images: that the ensemble is fitted and evaluated on.
        wish: how to combine them.
        run: where the ensemble goes, and what its manifest says of it.
        reporter: shows progress.

    Raises:
        UserError: no member fits the budget, or the method needs other images.
    """
    folder = run.folder
    started = time.monotonic()
    labels = np.asarray([each.label for each in images.fit], np.int32)
    test_labels = np.asarray([each.label for each in images.test], np.int32)

    # Which members, and their weights.
    answers = np.stack([each.answers for each in voters])
    costs = costs_of(voters, reporter)
    taken = _within(answers, labels, costs, wish)
    joint = _fit(answers[taken], labels, wish, taken)
    models, model_joint = _spread(joint, [voters[place] for place in taken])

    # One model, held to what its members' answers foretold.
    model = combine(
        [each.model for each in models],
        None if model_joint.stack is not None else model_joint.weights,
        method=joint.pool,
        columns=[each.columns for each in models],
        stack=model_joint.stack,
        temperature=joint.temperature,
    )
    save_model(model, folder)
    judged: dict[Split, Predictions] = {"validation": (pooled(answers[taken], joint).astype(np.float32), labels)}
    if images.test:
        judged["test"] = pooled(np.stack([each.test for each in models]), model_joint).astype(np.float32), test_labels
    part: Split = "test" if images.test else "validation"
    # Out-of-fold answers are not what all folds' models together say: only others can be compared.
    seen = None if part == "validation" and voters[0].folds is not None else judged[part][0]
    agreement = _agreement(model, images.test or images.fit, seen)

    # What the user reads.
    leaderboard = rank_members(voters, taken, joint, labels, judged, costs, model, folder)
    draw_ensemble(leaderboard, folder / PICTURE)
    save_predictions(folder, judged, {"validation": images.fit, "test": images.test})
    _write_split(folder, images)
    manifest = Manifest(
        class_names=images.class_names,
        image_size=int(model.input_shape[1]),
        backbone=BackboneRecord(
            name=" + ".join(dict.fromkeys(member.manifest.backbone.name for member in models)),
            weights="of its members",
            parameters=int(model.count_params()),
        ),
        head=HeadRecord(name="ensemble", pooling="of its members"),
        spec=run.spec,
        data=run.data,
        metrics={name: report(*each, images.class_names) for name, each in judged.items()},
        notes=run.notes,
        seconds={**run.seconds, "join": round(time.monotonic() - started, 2)},
        versions=versions(),
        members=leaderboard.members,
        leaderboard=leaderboard,
        bases=record_bases(models, model),
        agreement=agreement,
        order=tuple(member.name for member in models),
    )
    finish_run(folder, manifest)
    return manifest


def _within(answers: Floats, labels: NDArray[np.int32], costs: Sequence[Cost], wish: EnsembleRequest) -> list[int]:
    if wish.budget == Budget():
        return list(range(len(answers)))
    return list(affordable(answers[:, np.arange(len(labels)), labels], costs, wish.budget))


def _fit(answers: Floats, labels: NDArray[np.int32], wish: EnsembleRequest, taken: Sequence[int]) -> EnsembleWeights:
    if wish.votes is None or wish.method != "vote":
        return fit(answers, labels, method=wish.method, seed=wish.seed)
    votes = np.asarray(wish.votes, np.float64)[list(taken)]
    joint = EnsembleWeights(method="vote", pool="vote", weights=tuple(float(each) for each in votes / votes.sum()))
    temperature = fit_temperature(pooled(answers, joint), labels, seed=wish.seed)
    return EnsembleWeights(method="vote", pool="vote", weights=joint.weights, temperature=temperature)


def _spread(joint: EnsembleWeights, voters: Sequence[MemberPredictions]) -> tuple[list[LoadedMember], EnsembleWeights]:
    """The models that have a weight, and how they are joined: those of one voter share its weight."""
    models: list[LoadedMember] = []
    weights: list[float] = []
    blocks: list[NDArray[Any]] = []
    for place, (voter, weight) in enumerate(zip(voters, joint.weights, strict=True)):
        if weight == 0 and joint.stack is None:
            continue
        count, classes = len(voter.models), voter.answers.shape[1]
        models += voter.models
        weights += [weight / count] * count
        if joint.stack is not None:
            blocks += [joint.stack.kernel[place * classes : (place + 1) * classes] / count] * count
    stack = joint.stack and Stack(kernel=np.concatenate(blocks).astype(np.float32), bias=joint.stack.bias)
    return models, replace(joint, weights=tuple(weights), stack=stack)


def _agreement(
    model: keras.Model, examples: Sequence[Example], foretold: NDArray[np.float32] | None
) -> Agreement | None:
    """Compare what the joined model says of pixels with what its members' answers foretold, on a few images."""
    from pipelines.evaluation.predictions import predict_batches
    from pipelines.images.batches import pixel_batches

    if foretold is None:
        return None
    numbers = list(range(0, len(examples), max(1, len(examples) // AGREEMENT_IMAGES)))[:AGREEMENT_IMAGES]
    batches = pixel_batches([examples[each] for each in numbers], size=int(model.input_shape[1]), batch=len(numbers))
    exact, _ = predict_batches(model, batches)
    return Agreement(
        images=len(numbers),
        top1_agreement=float((exact.argmax(1) == foretold[numbers].argmax(1)).mean()),
        max_difference=round(float(np.abs(exact - foretold[numbers]).max()), 5),
    )


def _write_split(folder: Path, images: Images) -> None:
    rows = ((each.path, images.class_names[each.label], each.split, each.sha256) for each in images.every)
    write_csv(folder / "split.csv", ("path", "label", "split", "sha256"), rows)
