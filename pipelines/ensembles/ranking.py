"""Ranks the members of an ensemble and the ensemble itself."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from pipelines.ensembles.costs import base_key, megabytes, time_of
from pipelines.ensembles.timing import Timing, at_least
from pipelines.ensembles.weights import disagreement
from pipelines.evaluation.comparison import compare_models
from pipelines.evaluation.intervals import over_folds, wilson
from pipelines.evaluation.metrics import losses
from pipelines.runs.layout import MODEL_FILE
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow, Spread
from pipelines.runs.manifest import RunRequest
from pipelines.runs.report import FoldScore, Score

if TYPE_CHECKING:
    import keras

    from models.arrays import Indices, Labels, Probabilities
    from pipelines.ensembles.member_predictions import LoadedMember, MemberPredictions
    from pipelines.evaluation.predictions import Predictions
    from pipelines.runs.examples import Split


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class FittedEnsemble:
    """An ensemble and what it was made of.

    Attributes:
        model: pixels -> probabilities.
        method: its name.
        temperature: of the pooled probabilities; None where they are not scaled.
        members: all that could be part of it.
        weights: (members,) of each; 0 where it is not part of it.
        time: of the ensemble.
        member_times: of the members' bases, by `base_key`, measured in the same rounds.
        chosen_time: of the chosen members together, when they were chosen for a greatest prediction time; None without.
        labels: (images,) of the images that the weights are fitted on.
        predictions: part -> probabilities of the ensemble and labels.
        folder: of its run.
    """

    model: keras.Model
    method: str
    temperature: float | None
    members: Sequence[MemberPredictions]
    weights: Sequence[float]
    time: Timing
    member_times: Mapping[str, Timing]
    chosen_time: Timing | None
    labels: Labels
    predictions: dict[Split, Predictions]
    folder: Path


def rank_members(ensemble: FittedEnsemble) -> Leaderboard:
    """The leaderboard of an ensemble, with its gain over the best member where there are several."""
    members, labels = ensemble.members, ensemble.labels
    rows = [_row(ensemble, place, model) for place, member in enumerate(members) for model in member.models]
    parts = [times.spread for times in _times_of_parts(ensemble)]
    time = at_least(ensemble.time.spread, parts)
    predicted = [member.probabilities for member in members]
    return Leaderboard(
        method=ensemble.method,
        temperature=ensemble.temperature,
        members=tuple(sorted(rows, key=lambda row: (-row.accuracy, row.log_loss))),
        names=tuple(member.name for member in members),
        disagreement=tuple(tuple(row) for row in disagreement(predicted).tolist()),
        gain=_gain(ensemble, time) if len(members) > 1 else None,
        folds=_score_folds(members[0].folds, ensemble.predictions["validation"][0], labels),
        ms=time.median,
        mb=(ensemble.folder / MODEL_FILE).stat().st_size / 1e6,
        ms_quartiles=time.quartiles,
        chosen_ms=None if ensemble.chosen_time is None else ensemble.chosen_time.spread,
    )


def _times_of_parts(ensemble: FittedEnsemble) -> list[Timing]:
    """The times of the bases that the ensemble contains, none of which it can be faster than."""
    contained = [member for member, weight in zip(ensemble.members, ensemble.weights, strict=True) if weight]
    keys = {base_key(model) for member in contained for model in member.models}
    return [ensemble.member_times[key] for key in sorted(keys)]


def _gain(ensemble: FittedEnsemble, time: Spread) -> EnsembleGain:
    """The ensemble against the member that is best on validation, on test images where there are some."""
    scores = [
        (
            float((member.probabilities.argmax(1) == ensemble.labels).mean()),
            -float(losses(member.probabilities, ensemble.labels).mean()),
        )
        for member in ensemble.members
    ]
    best = max(range(len(scores)), key=lambda place: scores[place])
    member = ensemble.members[best]
    member_time = time_of(member, ensemble.member_times)
    part: Split = "test" if "test" in ensemble.predictions else "validation"
    probabilities, labels = ensemble.predictions[part]
    of_member = member.test if part == "test" else member.probabilities
    return EnsembleGain(
        comparison=compare_models(probabilities, of_member, labels, names=("ensemble", member.name), part=part),
        ms=time.median,
        best_ms=member_time.spread.median,
        times_as_long=at_least(
            ensemble.time.ratio(member_time), [part.ratio(member_time) for part in _times_of_parts(ensemble)]
        ),
    )


def _row(ensemble: FittedEnsemble, place: int, model: LoadedMember) -> MemberRow:
    member = ensemble.members[place]
    # The model of a fold is scored on the images of that fold.
    rows = slice(None) if member.folds is None or model.fold is None else member.folds == model.fold
    probabilities, labels = member.probabilities[rows], ensemble.labels[rows]
    is_correct = probabilities.argmax(1) == labels
    time = ensemble.member_times[base_key(model)].spread
    return MemberRow(
        name=model.name,
        path=os.path.relpath(model.folder.absolute(), ensemble.folder.absolute()),
        backbone=model.manifest.backbone.name,
        head=model.manifest.head.name,
        seed=_seed_of(model.manifest.spec),
        fold=model.fold,
        weight=ensemble.weights[place] / len(member.models),
        images=len(is_correct),
        accuracy=float(is_correct.mean()),
        accuracy_interval=wilson(int(is_correct.sum()), len(is_correct)),
        log_loss=float(losses(probabilities, labels).mean()),
        ms=time.median,
        mb=megabytes(model),
        ms_quartiles=time.quartiles,
    )


def _score_folds(folds: Indices | None, probabilities: Probabilities, labels: Labels) -> dict[Score, FoldScore]:
    """Accuracy and log-loss over the folds; empty without folds."""
    if folds is None:
        return {}
    of_fold = [folds == fold for fold in np.unique(folds)]
    is_correct, loss = probabilities.argmax(1) == labels, losses(probabilities, labels)
    return {
        "accuracy": over_folds([float(is_correct[rows].mean()) for rows in of_fold], highest=1.0),
        "log_loss": over_folds([float(loss[rows].mean()) for rows in of_fold]),
    }


def _seed_of(request: RunRequest) -> int | None:
    """The seed of a member; None for one that is an ensemble of members with their own seeds."""
    if request.train is not None:
        return request.train.fit.seed
    return request.ensemble.seed if request.ensemble is not None else None
