"""Combines trained members into one model and completes its run.

The weights are fitted on predictions of images that none of the members was trained on.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from models.ensemble import combine
from models.pools import StackingRegression
from pipelines.data.groups import keys_of_examples
from pipelines.ensembles.budget import choose_within_budget, over_limit
from pipelines.ensembles.costs import models_to_time
from pipelines.ensembles.frozen_bases import record_bases
from pipelines.ensembles.joined_run import JoinedRun
from pipelines.ensembles.member_predictions import EnsembleRequest, Images, LoadedMember, MemberPredictions, labels_of
from pipelines.ensembles.picture import PICTURE, draw_ensemble
from pipelines.ensembles.ranking import FittedEnsemble, rank_members
from pipelines.ensembles.timing import time_models
from pipelines.ensembles.weights import EnsembleWeights, fit_weights, judged_probabilities, pool_probabilities
from pipelines.evaluation.agreement import measure_agreement, spread_places
from pipelines.evaluation.metrics import report
from pipelines.evaluation.predictions import Predictions, predict_batches
from pipelines.evaluation.saved_predictions import save_predictions
from pipelines.images.batches import pixel_batches
from pipelines.images.unchanged import change_of
from pipelines.runs.examples import Example, Split
from pipelines.runs.folder import finish_run, write_examples
from pipelines.runs.manifest import Agreement, BackboneRecord, HeadRecord, Manifest
from pipelines.runs.models import save_model
from pipelines.runs.square import Fit, Square
from pipelines.system.versions import versions

if TYPE_CHECKING:
    import keras

    from models.arrays import Doubles, Probabilities
    from pipelines.ensembles.selection import Budget
    from pipelines.system.progress import Reporter

_JOINED = ""  # the key of the ensemble's time; that of a base is never empty


def join(
    members: Sequence[MemberPredictions],
    images: Images,
    request: EnsembleRequest,
    run: JoinedRun,
    *,
    reporter: Reporter,
) -> Manifest:
    """Combine members, evaluate the result, and complete its run.

    Args:
        members: at least one; they see images fitted to a square in the same way.
        images: that the ensemble is fitted and evaluated on.
        request: how to combine them.
        run: where the ensemble goes, and what its manifest says of it.
        reporter: shows progress.

    Raises:
        UserError: no member fits the budget, or the method needs other images.
    """
    started = time.monotonic()
    labels = labels_of(images.fitted)

    # Which members, and their weights.
    probabilities: Probabilities | Doubles = np.asarray([member.probabilities for member in members])
    places, chosen_time = choose_within_budget(members, probabilities, labels, request.budget, reporter)
    # Of all members no copy is made: of thousands of classes it has hundreds of megabytes a member.
    chosen = probabilities if len(places) == len(members) else probabilities[places]
    fitted = fit_weights(chosen, labels, request.method, groups=keys_of_examples(images.fitted), seed=request.seed)
    models, model_weights = _spread(fitted, [members[place] for place in places])

    # One model, compared with what its members' predictions give.
    model = _combine(fitted, models, model_weights)
    save_model(model, run.folder)
    predictions = _predictions(images, chosen, fitted, models, model_weights)
    pooled = predictions["test"][0] if images.test else _pooled(chosen, fitted)
    out_of_fold, fit = _are_out_of_fold(members), models[0].manifest.fit
    agreement = _compare_with_pooled(model, fit, images, pooled, reporter, out_of_fold=out_of_fold)

    # What the user reads. The ensemble and its members are timed in turn, or their ratio would be one of two moments.
    times = time_models({**models_to_time(members), _JOINED: model}, reporter)
    weights = dict(zip(places, fitted.weights, strict=True))
    ensemble = FittedEnsemble(
        model=model,
        method=request.name,
        temperature=fitted.temperature,
        members=members,
        weights=[weights.get(place, 0.0) for place in range(len(members))],
        time=times[_JOINED],
        member_times=times,
        chosen_time=chosen_time,
        labels=labels,
        predictions=predictions,
        folder=run.folder,
    )
    described = _manifest_of(ensemble, models, images, run.noted(fitted.note, reporter), request.budget)
    seconds = {**run.seconds, "join": round(time.monotonic() - started, 2)}
    manifest = replace(described, agreement=agreement, seconds=seconds)
    finish_run(run.folder, manifest, draw=run.draw)
    return manifest


def _manifest_of(
    ensemble: FittedEnsemble, models: Sequence[LoadedMember], images: Images, run: JoinedRun, budget: Budget
) -> Manifest:
    """Rank the members, write what belongs to the run, and describe it."""
    leaderboard = rank_members(ensemble)
    draw_ensemble(leaderboard, run.folder / PICTURE)
    save_predictions(run.folder, ensemble.predictions, {"validation": images.fitted, "test": images.test})
    write_examples(run.folder, images.all, images.class_names)
    return Manifest(
        class_names=images.class_names,
        image_size=int(ensemble.model.input_shape[1]),
        backbone=BackboneRecord(
            name=" + ".join(dict.fromkeys(member.manifest.backbone.name for member in models)),
            weights="of its members",
            parameters=int(ensemble.model.count_params()),
        ),
        head=HeadRecord(name="ensemble", pooling="of its members"),
        spec=run.spec,
        data=run.data,
        metrics={part: report(*predicted, images.class_names) for part, predicted in ensemble.predictions.items()},
        notes=(*run.notes, *over_limit(leaderboard.ms, budget)),
        versions=versions(),
        members=leaderboard.members,
        leaderboard=leaderboard,
        bases=record_bases(models, ensemble.model),
        order=tuple(member.name for member in models),
        missing=dict(run.missing),
        fit=models[0].manifest.fit,
    )


def _spread(
    fitted: EnsembleWeights, members: Sequence[MemberPredictions]
) -> tuple[list[LoadedMember], EnsembleWeights]:
    """The models that have a weight, and how they are combined: the models of one group share its weight."""
    models: list[LoadedMember] = []
    weights: list[float] = []
    kernels: list[Doubles] = []
    for place, (member, weight) in enumerate(zip(members, fitted.weights, strict=True)):
        if weight == 0 and fitted.stack is None:
            continue
        count, num_classes = len(member.models), member.probabilities.shape[1]
        models += member.models
        weights += [weight / count] * count
        if fitted.stack is not None:
            kernels += [fitted.stack.kernel[place * num_classes : (place + 1) * num_classes] / count] * count
    stack = fitted.stack and StackingRegression(
        kernel=np.concatenate(kernels).astype(np.float32), bias=fitted.stack.bias
    )
    return models, replace(fitted, weights=tuple(weights), stack=stack)


def _combine(fitted: EnsembleWeights, models: Sequence[LoadedMember], weights: EnsembleWeights) -> keras.Model:
    return combine(
        [member.model for member in models],
        None if weights.stack is not None else weights.weights,
        method=fitted.pool,
        columns=[member.columns for member in models],
        stack=weights.stack,
        temperature=fitted.temperature,
    )


def _pooled(probabilities: Probabilities | Doubles, weights: EnsembleWeights) -> Probabilities:
    return pool_probabilities(probabilities, weights).astype(np.float32)


def _predictions(
    images: Images,
    probabilities: Probabilities | Doubles,
    fitted: EnsembleWeights,
    models: Sequence[LoadedMember],
    model_weights: EnsembleWeights,
) -> dict[Split, Predictions]:
    """Predictions of the ensemble: on validation from those of its members, on test from those of all models."""
    predictions: dict[Split, Predictions] = {
        "validation": (judged_probabilities(probabilities, fitted).astype(np.float32), labels_of(images.fitted))
    }
    if images.test:
        pooled = _pooled(np.asarray([model.test for model in models]), model_weights)
        predictions["test"] = pooled, labels_of(images.test)
    return predictions


def _are_out_of_fold(members: Sequence[MemberPredictions]) -> bool:
    """Whether some member's predictions are not of the model that joins the ensemble."""
    return any(
        member.folds is not None or any(model.manifest.cross_validation is not None for model in member.models)
        for member in members
    )


def _compare_with_pooled(
    model: keras.Model, fit: Fit, images: Images, pooled: Probabilities, reporter: Reporter, *, out_of_fold: bool
) -> Agreement | None:
    """Compare the joined model with the pooled probabilities of its members, on a few test images, or validation ones.

    None where there are only out-of-fold predictions: the models of all folds together predict otherwise. None also
    where no such image is as it was when the members predicted it: their predictions are saved, images come and go.
    """
    if out_of_fold and not images.test:
        return None
    examples: tuple[Example, ...] = images.test or images.fitted
    places = [place for place in spread_places(len(examples)) if not change_of(examples[place])]
    if not places:
        reporter.warn("the saved model was not compared with its members: none of the images is where it was")
        return None
    square = Square(size=int(model.input_shape[1]), fit=fit)
    batches = pixel_batches([examples[place] for place in places], square=square, batch=len(places))
    exact, _ = predict_batches(model, batches)
    return measure_agreement(exact, pooled[places])
