"""Fits the head of a training on cached features: solved where it is a convex problem, else trained in steps."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.softmax_regression import MAX_ITERATIONS
from pipelines.features.subset import first_features
from pipelines.fitting.heads import predict_features
from pipelines.runs.manifest import ChosenHead, StageRecord
from pipelines.training.fold_head import fit_in_folds
from pipelines.training.head_stage import FittedHead, HeadFeatures, bank_width, fit_bank, list_head_candidates
from pipelines.training.plan import TrainingHead, TrainingPlan
from pipelines.training.solved_head import SolvedHead, can_be_solved, solve_head
from pipelines.training.stage_recipe import recipe_of_solver

if TYPE_CHECKING:
    from pipelines.runs.stages import Stage


def fit_head(plan: TrainingPlan, stage: Stage, features: HeadFeatures) -> FittedHead:
    """Fit a head: the solution of a convex problem where it is one, else the best of a bank.

    Folds choose it where they can, else the validation part.
    """
    if can_be_solved(plan):
        solved = solve_head(plan, features.train, features.validation, features.widths, num_last=features.num_last)
        if solved is not None:
            return _of_solved(plan, stage, solved, features)
    heads = list_head_candidates(plan, num_features=bank_width(features), count=plan.spec.head.heads)
    # Where solving it took too long, so would training it in every fold.
    in_folds = None if can_be_solved(plan) else fit_in_folds(plan, stage, features, heads)
    return in_folds or fit_bank(plan, stage, features, heads)


def _of_solved(plan: TrainingPlan, stage: Stage, solved: SolvedHead, features: HeadFeatures) -> FittedHead:
    best = solved.trials[0]
    predictions, training_head = solved.predictions, None
    validation = first_features(features.validation, features.widths[solved.features])
    if solved.record is None:  # no head but this one judged the validation images
        predictions = (predict_features(solved.head, validation), validation.labels)
    if solved.training_head is not None:
        training_head = TrainingHead(
            weights=solved.training_head.get_weights(),
            predictions=(predict_features(solved.training_head, validation), validation.labels),
        )
    record = StageRecord(
        name=stage.name,
        unfreeze=stage.unfreeze,
        epochs=0,
        best_epoch=0,
        validation_loss=solved.loss,
        heads=len(solved.trials),
        chosen=ChosenHead(l2=solved.l2, learning_rate=None, dropout=0.0, seed=best.seed),
        seconds=solved.seconds,
        temperature=solved.record.temperature if solved.record else None,
        recipe=recipe_of_solver(plan, solved.l2, iterations=MAX_ITERATIONS),
    )
    return FittedHead(
        head=solved.head,
        features=solved.features,
        predictions=predictions,
        judged=solved.examples,
        stage=record,
        trials=solved.trials,
        cross_validation=solved.record,
        notes=solved.notes,
        out_of_fold=solved.out_of_fold,
        training_head=training_head,
    )
