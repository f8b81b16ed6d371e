"""Fine-tunes the top blocks under the trained head, and keeps the better of the two models on validation.

What stays frozen below them runs once: its activations are cached, and every epoch goes through the top blocks alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import keras
import numpy as np

from models.freezing import freeze
from models.heads import cool, dropout_of
from pipelines.evaluation.calibration import calibrate
from pipelines.evaluation.comparison import compare_models, fine_tuning_lines, is_worth_keeping
from pipelines.evaluation.predictions import gather_predictions
from pipelines.fitting.network import NetworkFit, fit_network
from pipelines.training.activations import activations_of
from pipelines.training.cut import Cut, cut_below
from pipelines.training.inputs import pixels_of, views_of
from pipelines.training.interpolation import Interpolation, choose_share
from pipelines.training.pixel_stage import describe_stage, predict_parts, recipe_of
from pipelines.training.plan import TrainingPlan, TrainingResult, list_stages
from pipelines.training.tensorboard_events import watcher

if TYPE_CHECKING:
    from models.arrays import Tensor, Weights
    from pipelines.evaluation.predictions import Predictions
    from pipelines.fitting.checkpoint import StageProgress
    from pipelines.fitting.network import FitData
    from pipelines.runs.examples import Split
    from pipelines.runs.spec import TrainSpec
    from pipelines.runs.stages import Recipe, Stage


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Tuning:
    """What is fine-tuned, and on what.

    Attributes:
        cut: the classifier.
        data: what its top is trained on: activations at the boundary, or pixels.
        trunk: what turns pixels into activations in every epoch; None where they are cached, or all is trained.
        start: weights of the top before it is trained.
        added: what the validation images add to the weights of the head; None where it was fitted without them.
    """

    cut: Cut
    data: FitData
    trunk: keras.Model | None
    start: list[Weights]
    added: list[Weights] | None

    @property
    def is_cached(self) -> bool:
        """Whether it is trained on activations from the cache."""
        return self.cut.lower is not None and self.trunk is None


def fine_tune(plan: TrainingPlan, frozen: TrainingResult) -> TrainingResult:
    """Train the top blocks and the head further, and keep the better of the two models on validation.

    What is trained starts from a head that the training images alone fitted, so that the validation images can choose
    the epoch, the share of the way from the frozen weights (`interpolation`), and the better model. Where the frozen
    model's head was then fitted to all images, what fine-tuning changed is added to that one.

    Args:
        plan: of the training.
        frozen: the frozen backbone under a trained head. Its model is trained in place.

    Returns:
        The better one, with the history and the record of this stage.

    Raises:
        UserError: the backbone has no such blocks, or memory does not suffice for one image.
    """
    stage = list_stages(plan.spec, is_untrained=False)[1]
    model = frozen.model
    frozen_weights = _copy_weights(model)
    tuning = _prepare(plan, frozen, stage)
    progress = _fit(plan, tuning, stage)

    # The best share of the way is compared with the frozen model, each on images that neither was fitted to.
    between = _interpolate(plan, tuning) if progress.best_epoch else None
    before = _predictions_of(frozen)
    after = _predict(plan, model, tuning, between) if between else before
    compared = {
        part: compare_models(probabilities, before[part][0], labels, names=("fine-tuned", "frozen"), part=part)
        for part, (probabilities, labels) in after.items()
    }
    is_kept = between is not None and is_worth_keeping(compared["validation"])
    lines = fine_tuning_lines(compared, is_kept=is_kept, share=between.share if between else None)
    for line in lines:
        plan.reporter.note(line)
    recipe, dropout = _fine_tuning_recipe(plan.spec), dropout_of(model.get_layer("head"))
    views = views_of(plan).count if tuning.is_cached else None
    record = replace(
        describe_stage(plan, stage, progress, recipe, dropout=dropout, views=views),
        temperature=round(between.temperature, 4) if between else None,
        share=between.share if between else None,
        trained=tuning.cut.trained,
        kept=is_kept,
        compared=compared,
    )
    result = replace(
        frozen,
        notes=[*frozen.notes, *lines],
        history=[*frozen.history, *progress.history],
        stages=[*frozen.stages, record],
    )
    if not is_kept:
        model.set_weights(frozen_weights)
        freeze(model.get_layer("backbone"))
        return result
    # Its features are no longer those of the published weights: nothing cached under their hash holds.
    backbone = replace(frozen.backbone, weights_sha256=None, fine_tuned=tuning.cut.trained)
    return replace(result, predictions=after, judged=None, out_of_fold=None, backbone=backbone)


def _prepare(plan: TrainingPlan, frozen: TrainingResult, stage: Stage) -> _Tuning:
    """Cut the model in two, under the head that the training images alone fitted."""
    model = frozen.model
    added = _start_from_training_images(frozen)
    cut = cut_below(plan, model, stage.unfreeze)
    # The activations at the boundary come from the cache, or every epoch runs through the whole network.
    activations = activations_of(plan, frozen, cut.lower, stage.unfreeze) if cut.lower is not None else None
    return _Tuning(
        cut=cut,
        data=activations or pixels_of(plan, int(model.input_shape[1])),
        trunk=None if activations else cut.lower,
        start=_copy_weights(cut.top),
        added=added,
    )


def _start_from_training_images(frozen: TrainingResult) -> list[Weights] | None:
    """Give the model the head that the training images alone fitted; returns what all images add to its weights."""
    if frozen.training_head is None:
        return None
    head = frozen.model.get_layer("head")
    of_all = _copy_weights(head)
    head.set_weights(frozen.training_head.weights)
    return [weight - start for weight, start in zip(of_all, frozen.training_head.weights, strict=True)]


def _fine_tuning_recipe(spec: TrainSpec) -> Recipe:
    """How a fine-tuning stage steps: a slow start, half a cosine down, and less from block to block."""
    return replace(
        recipe_of(spec),
        schedule="cosine",
        warm_up=spec.fine_tune.warm_up,
        layer_decay=spec.fine_tune.layer_decay,
        clip=spec.fine_tune.clip or None,
        calibrate=True,
    )


def _fit(plan: TrainingPlan, tuning: _Tuning, stage: Stage) -> StageProgress:
    fit = NetworkFit(
        model=tuning.cut.top,
        stage=stage,
        recipe=_fine_tuning_recipe(plan.spec),
        data=tuning.data,
        trunk=tuning.trunk,
        factors=tuning.cut.factors,
    )
    with watcher(plan.folder, tensorboard=plan.spec.fine_tune.tensorboard) as watch:
        return fit_network(fit, state=plan.state, reporter=plan.reporter, watch=watch)


def _interpolate(plan: TrainingPlan, tuning: _Tuning) -> Interpolation:
    """Leave the top with the best weights between those it had and those that it has now, on validation."""
    top, trunk = tuning.cut.top, tuning.trunk

    def predict() -> Predictions:
        def probabilities(inputs: Tensor) -> Tensor:
            return top.predict_on_batch(inputs if trunk is None else trunk.predict_on_batch(inputs))

        return gather_predictions(probabilities, tuning.data.validation)

    with plan.reporter.task("interpolating the weights", None):
        return choose_share(top, tuning.start, _copy_weights(top), predict)


def _predictions_of(frozen: TrainingResult) -> dict[Split, Predictions]:
    """Those of the frozen model, of validation at the temperature that suits it best: calibration alone is no gain."""
    if frozen.training_head is None:
        return calibrate(frozen.predictions)
    return {**frozen.predictions, **calibrate({"validation": frozen.training_head.predictions})}


def _predict(
    plan: TrainingPlan, model: keras.Model, tuning: _Tuning, between: Interpolation
) -> dict[Split, Predictions]:
    """Predictions of the interpolated model, which is left calibrated, and with what the validation images add to it.

    Those of the validation images are from before they add anything.
    """
    head, size = model.get_layer("head"), int(model.input_shape[1])
    cool(head, between.temperature)
    with plan.reporter.task("predicting with the fine-tuned model", None):
        predictions = predict_parts(plan, model, size, parts=("validation",))
        if tuning.added is not None:
            added = [more / between.temperature for more in tuning.added]
            head.set_weights([weight + more for weight, more in zip(head.get_weights(), added, strict=True)])
        return predictions | predict_parts(plan, model, size, parts=("test",))


def _copy_weights(model: keras.Model) -> list[Weights]:
    return [np.array(weight) for weight in model.get_weights()]
