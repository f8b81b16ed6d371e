"""How the members of an ensemble and the ensemble itself stand."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from pipelines.ensembles.costs import megabytes, milliseconds
from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
from pipelines.ensembles.methods import EnsembleWeights, disagreement
from pipelines.ensembles.selection import Cost
from pipelines.evaluation.comparison import compare_models
from pipelines.evaluation.intervals import over_folds, wilson
from pipelines.evaluation.metrics import losses
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow
from pipelines.runs.manifest import MODEL_FILE, RunRequest
from pipelines.runs.report import FoldScore, Score

if TYPE_CHECKING:
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.examples import Split
    import keras


def rank_members(
    voters: Sequence[MemberPredictions],
    taken: Sequence[int],
    joint: EnsembleWeights,
    labels: NDArray[np.int32],
    judged: dict[Split, Predictions],
    costs: Sequence[Cost],
    model: keras.Model,
    folder: Path,
) -> Leaderboard:
    """The leaderboard, with the gain over the best member.

    Args:
        voters: all that could be taken.
        taken: the places among them of those that the budget allows.
        joint: how these are joined.
        labels: (images,) of the images that the weights are fitted on.
        judged: part -> what the ensemble answers there, and the labels.
        costs: of each voter.
        model: the ensemble.
        folder: of its run.
    """
    weights = dict(zip(taken, joint.weights, strict=True))
    rows = [
        _row(voter, one, weights.get(place, 0.0) / len(voter.models), labels, costs[place], folder)
        for place, voter in enumerate(voters)
        for one in voter.models
    ]
    scores = [
        (float((each.answers.argmax(1) == labels).mean()), -losses(each.answers, labels).mean()) for each in voters
    ]
    best = max(range(len(voters)), key=lambda place: scores[place])
    part: Split = "test" if "test" in judged else "validation"
    mine, truth = judged[part]
    other = voters[best].test if part == "test" else voters[best].answers
    ms = milliseconds(model)
    gain = EnsembleGain(
        comparison=compare_models(mine, other, truth, names=("ensemble", voters[best].name), part=part),
        ms=ms,
        best_ms=costs[best].backbone_ms + costs[best].head_ms,
    )
    return Leaderboard(
        method=joint.method,
        temperature=joint.temperature,
        members=tuple(sorted(rows, key=lambda row: (-row.accuracy, row.log_loss))),
        names=tuple(each.name for each in voters),
        disagreement=tuple(tuple(row) for row in disagreement([each.answers for each in voters]).tolist()),
        gain=gain,
        folds=_over_folds(voters[0].folds, judged["validation"][0], labels),
        ms=ms,
        mb=(folder / MODEL_FILE).stat().st_size / 1e6,
    )


def _row(
    voter: MemberPredictions, one: LoadedMember, weight: float, labels: NDArray[np.int32], cost: Cost, folder: Path
) -> MemberRow:
    mine = slice(None) if voter.folds is None or one.fold is None else voter.folds == one.fold
    right = voter.answers[mine].argmax(1) == labels[mine]
    loss = losses(voter.answers[mine], labels[mine]).mean()
    return MemberRow(
        name=one.name,
        path=_relative(one.folder, folder),
        backbone=one.manifest.backbone.name,
        head=one.manifest.head.name,
        seed=_seed_of(one.manifest.spec),
        fold=one.fold,
        weight=weight,
        images=len(right),
        accuracy=float(right.mean()),
        accuracy_interval=wilson(int(right.sum()), len(right)),
        log_loss=float(loss),
        ms=cost.backbone_ms,
        mb=megabytes(one),
    )


def _relative(path: Path, folder: Path) -> str:
    return os.path.relpath(path.absolute(), folder.absolute())


def _over_folds(
    folds: NDArray[np.int64] | None, answers: NDArray[np.float32], labels: NDArray[np.int32]
) -> dict[Score, FoldScore]:
    if folds is None:
        return {}
    parts = [folds == number for number in np.unique(folds)]
    right, loss = answers.argmax(1) == labels, losses(answers, labels)
    return {
        "accuracy": over_folds([float(right[part].mean()) for part in parts]),
        "log_loss": over_folds([float(loss[part].mean()) for part in parts]),
    }


def _seed_of(request: RunRequest) -> int | None:
    """The seed of a member; None for one that is an ensemble of members with seeds of their own."""
    if request.train is not None:
        return request.train.fit.seed
    return request.ensemble.seed if request.ensemble is not None else None
