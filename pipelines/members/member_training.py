"""Trains, in a worker process, all members of an ensemble that share a backbone.

The images, the backbone and its features are there once; each head, seed, fold and bag is then fitted in seconds and
written as a run that names the shared backbone's file.
"""

from __future__ import annotations

import sys
import traceback
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.errors import UserError
from models.heads import Candidate, widened
from models.machine_errors import full_disk
from pipelines.data.dataset_file import read_dataset
from pipelines.data.folds import divide_folds
from pipelines.features.subset import first_features
from pipelines.fitting.heads import predict_features
from pipelines.images.colour_covariance import measured
from pipelines.images.unchanged import naming_changed
from pipelines.members.boosting import BoostingEnds
from pipelines.members.held_out import predict_head_held_out, predict_network_held_out
from pipelines.members.hyperparameters import SharedHyperparameters
from pipelines.members.shared_features import SharedFeatures, share_features
from pipelines.members.spec import MEMBERS_FOLDER, Member, MembersOrder, spec_of
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.examples import Dataset, Split
from pipelines.runs.folder import open_run, write_split
from pipelines.runs.layout import HEAD_FILE, STATE_FOLDER
from pipelines.runs.manifest import Manifest, RunRequest
from pipelines.runs.models import save_keras
from pipelines.system.progress import PhaseTimer
from pipelines.system.relay import ProgressRelay, serve
from pipelines.system.text import counted
from pipelines.training.execute import complete_run, execute_plan
from pipelines.training.feature_stage import notes_of
from pipelines.training.fit_head import fit_head
from pipelines.training.head_stage import FittedHead, HeadFeatures, fit_bank
from pipelines.training.pictures import draw_training
from pipelines.training.plan import TrainingPlan, TrainingResult, list_stages, look_up_names
from pipelines.training.solved_head import can_be_solved

if TYPE_CHECKING:
    from models.arrays import Labels
    from pipelines.evaluation.predictions import Predictions
    from pipelines.images.policy import Policy


def main(order: MembersOrder, relay: ProgressRelay) -> None:
    """Train the members that an order names; one that fails is reported, and the others continue."""
    dataset = read_dataset(Path(order.dataset))
    training = MemberTraining(
        spec=order.spec, out=Path(order.out), place=Path(order.place), dataset=dataset, relay=relay
    )
    training.train(order.members)


class MemberTraining:
    """Trains members on one backbone."""

    def __init__(self, *, spec: MembersSpec, out: Path, place: Path, dataset: Dataset, relay: ProgressRelay) -> None:
        self.spec, self.out, self.place, self.dataset, self.relay = spec, out, place, dataset, relay
        self.shared_hyperparameters = SharedHyperparameters(spec=spec, state=place / STATE_FOLDER)
        self.folds = divide_folds(dataset, spec.folds, seed=spec.common.fit.seed) if spec.folds else ()
        self._shared: SharedFeatures | None = None
        self._policy: Policy | None = None

    def train(self, members: Sequence[Member]) -> None:
        """Train members one after the other."""
        for member in members:
            try:
                with naming_changed(self.dataset.examples):
                    self._train_member(member)
            except BoostingEnds as end:
                kind, count = f"{member.backbone}, {member.head} head", counted(end.num_members, "member")
                self.relay.send(ended=member.name, message=f"boosting of {kind}, ends after {count}: {end}")
            except Exception as error:  # A bug in one member must not cost the user the others.
                if full_disk(error):  # no other member could be written
                    raise
                self._report_failure(member, error)

    def _train_member(self, member: Member) -> None:
        """Train a member and write its run."""
        dataset = self.dataset if member.fold is None else self.folds[member.fold]
        labels = np.asarray([example.label for example in dataset.part("train")], np.int32)
        # Known before the run is opened: a boosting that has ended leaves no folder.
        image_weights = self.shared_hyperparameters.image_weights(member, labels)
        spec = spec_of(self.spec, member, self.out / MEMBERS_FOLDER / member.name)
        names = look_up_names(spec)
        # All members on the backbone see views of the same policy, whatever their fold.
        self._policy = self._policy or measured(names.policy, self.dataset.part("train"))
        names = replace(names, policy=self._policy)
        place = self.place / MEMBERS_FOLDER / member.name
        folder, _ = open_run(place, RunRequest(train=spec), force=False, reporter=self.relay)
        plan = TrainingPlan(
            spec=spec,
            names=names,
            dataset=dataset,
            folder=folder,
            reporter=self.relay,
            image_weights=image_weights,
            is_fold=member.fold is not None,
        )
        write_split(folder, dataset)
        timer = PhaseTimer()
        if names.source.is_untrained or not spec.data.cache or spec.fine_tune.blocks is not None:
            if self.shared_hyperparameters.needs_held_out(member):
                self.shared_hyperparameters.keep_held_out(member, predict_network_held_out(plan))
                timer.end_phase("out-of-fold")
            manifest = execute_plan(plan, timer)
            self._report(member, manifest, sum(manifest.seconds.values()))
            return
        self.relay.lines = False  # Nobody reads the epochs of forty members.
        if self._shared is None:
            self._shared = share_features(plan, self.spec, self.place, self.dataset, self.folds)
        timer.end_phase("features")
        self._fit_head(member, plan, self._shared, timer)

    def _fit_head(self, member: Member, plan: TrainingPlan, shared: SharedFeatures, timer: PhaseTimer) -> None:
        """Fit a member's head and write its run."""
        (stage, *_) = list_stages(plan.spec, is_untrained=False)
        features = shared.of_fold(member.fold)
        if can_be_solved(plan):
            fitted = fit_head(plan, stage, features)
        else:
            width = next(iter(features.widths.values()))
            fitted = fit_bank(plan, stage, features, self.shared_hyperparameters.candidates(member, plan, width))
            chosen = fitted.stage.chosen
            assert chosen is not None, "a bank ends with a choice"
            self.shared_hyperparameters.keep_choice(member, chosen)
        timer.end_phase("fit")
        result = self._result_of(plan, shared, fitted)
        draw_training(plan, result)
        if self.shared_hyperparameters.needs_held_out(member):
            classes = self._predict_held_out(plan, fitted, features)
            self.shared_hyperparameters.keep_held_out(member, classes)
            timer.end_phase("out-of-fold")
        save_keras(widened(fitted.head, plan.names.head, features.train.num_features), plan.folder / HEAD_FILE)
        manifest = complete_run(plan, result, timer)
        self._report(member, manifest, manifest.seconds["fit"] + manifest.seconds["save"])

    def _predict_held_out(self, plan: TrainingPlan, fitted: FittedHead, features: HeadFeatures) -> Labels:
        """The classes of the training images, predicted out of fold."""
        chosen = fitted.trials[0]
        assert chosen.learning_rate is not None, "boosted heads are trained in steps"
        candidate = Candidate(
            l2=chosen.l2, learning_rate=chosen.learning_rate, dropout=chosen.dropout, seed=chosen.seed
        )
        width = features.widths[fitted.features]
        return predict_head_held_out(
            plan,
            candidate,
            train=first_features(features.train, width),
            validation=first_features(features.validation, width),
        )

    def _result_of(self, plan: TrainingPlan, shared: SharedFeatures, fitted: FittedHead) -> TrainingResult:
        import keras

        extracted, width = shared.extracted, shared.widths[fitted.features]
        predictions: dict[Split, Predictions] = {"validation": fitted.predictions}
        if "test" in extracted.parts:
            test = extracted.parts["test"]
            predictions["test"] = predict_features(fitted.head, first_features(test, width)), test.labels
        head = widened(fitted.head, plan.names.head, int(shared.model.output_shape[-1]))
        return TrainingResult(
            model=keras.Model(shared.model.inputs[0], head(shared.model.outputs[0])),
            predictions=predictions,
            judged=fitted.judged,
            out_of_fold=fitted.out_of_fold,
            history=list(fitted.history),
            stages=[fitted.stage],
            backbone=replace(shared.backbone.record(), file=shared.file),
            notes=[*notes_of(extracted), *fitted.notes],
            features=extracted.record,
            feature_layers=shared.backbone.features,
            engine=extracted.engine,
            bank=fitted.trials,
            cross_validation=fitted.cross_validation,
        )

    def _report_failure(self, member: Member, error: Exception) -> None:
        """Send why a member failed; `unexpected` where another attempt may succeed."""
        if isinstance(error, UserError):
            self.relay.send(failed=member.name, message=error.message, hint=error.hint)
            return
        traceback.print_exc()
        first_line = (str(error).strip().splitlines() or [""])[0]
        message = f"{type(error).__name__}: {first_line}"
        self.relay.send(failed=member.name, message=message, hint="please report it", unexpected="yes")

    def _report(self, member: Member, manifest: Manifest, seconds: float) -> None:
        scores = manifest.metrics["validation"]
        self.relay.note(
            f"{member.name}: validation accuracy {scores.accuracy:.3f}, log-loss {scores.log_loss:.3f}, {seconds:.1f} s"
        )
        self.relay.send(done=member.name)


if __name__ == "__main__":
    sys.exit(serve(MembersOrder, main))
