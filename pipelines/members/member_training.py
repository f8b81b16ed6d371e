"""In a process of its own: train all members of an ensemble that stand on one backbone.

What they share (the images, the backbone, its features) is there once; each head, seed, fold and bag is then fitted in
seconds and written as a run that names the shared backbone's file.
"""

from __future__ import annotations

import pickle
import sys
import traceback
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from models.errors import UserError
from pipelines.data.folds import divide_folds, pooled
from pipelines.features.cached import CLEAN, Features
from pipelines.features.extract import Extracted, extract
from pipelines.features.subset import FeatureSubset
from pipelines.fitting.heads import FittedHeads, fit_heads
from pipelines.members.hyperparameters import SharedHyperparameters, samme
from pipelines.members.spec import Member, MembersSpec, slugs, spec_of
from pipelines.runs.examples import Dataset, Example
from pipelines.runs.folder import finish_run, open_run, write_split
from pipelines.runs.manifest import HEAD_FILE, STATE_FOLDER, Manifest
from pipelines.runs.spec import TrainSpec
from pipelines.system.files import atomic, write_csv
from pipelines.system.progress import PhaseTimer
from pipelines.system.worker import ProgressRelay, serve
from pipelines.training.backbone import LazyBackbone, find_backbone
from pipelines.training.execute import execute_plan, history_table, manifest_of
from pipelines.training.head_stage import head_answers, head_record, notes_of
from pipelines.training.inputs import augmenter_of, views_of
from pipelines.training.plan import TrainingPlan, TrainingResult, class_weights, head_of, stages_of

if TYPE_CHECKING:
    import keras

BACKBONES, MEMBERS = "backbones", "members"


def main(order: dict[str, Any], relay: ProgressRelay) -> None:
    """Train the members that the order names; each that fails is told, and the others go on."""
    values = order["spec"]
    spec = MembersSpec(
        **{**values, "common": TrainSpec(**values["common"])}
        | {"backbones": tuple(values["backbones"]), "heads": tuple(values["heads"])}
    )
    members = [Member(**each) for each in order["members"]]
    with open(order["dataset"], "rb") as stream:
        dataset: Dataset = pickle.load(stream)  # written by our own parent into the run's state
    MemberTraining(spec=spec, out=Path(order["out"]), dataset=dataset, relay=relay).train(members)


@dataclass(slots=True)
class SharedFeatures:
    """What members on cached features share."""

    backbone: LazyBackbone
    model: keras.Model  # pixels -> features
    file: str  # of that model, relative to a member's folder
    found: Extracted


class MemberTraining:
    """Trains members on one backbone."""

    def __init__(self, *, spec: MembersSpec, out: Path, dataset: Dataset, relay: ProgressRelay) -> None:
        self.spec, self.out, self.dataset, self.relay = spec, out, dataset, relay
        self.legacy = SharedHyperparameters(spec=spec, state=out / STATE_FOLDER)
        self.folds = divide_folds(dataset, spec.folds, seed=spec.common.seed) if spec.folds else ()
        self._shared: SharedFeatures | None = None
        self._selected: dict[int | None, tuple[Features, Features]] = {}

    def train(self, members: Sequence[Member]) -> None:
        """Train members one after the other."""
        ended: set[str] = set()
        for member in members:
            if member.head in ended:
                continue
            try:
                goes_on = self._one(member)
            except UserError as error:
                self.relay.send(failed=member.name, message=error.message, hint=error.hint)
            except Exception as error:
                traceback.print_exc()
                words = (str(error).strip().splitlines() or [""])[0]
                self.relay.send(failed=member.name, message=f"{type(error).__name__}: {words}", hint="please report it")
            else:
                if not goes_on:
                    ended.add(member.head)
                    self.relay.note(f"{member.name}: boosting ends here: the last member errs never, or as chance does")

    def _one(self, member: Member) -> bool:
        spec = spec_of(self.spec, member, self.out / MEMBERS / member.name)
        source = find_backbone(spec.backbone, spec.weights)
        folder, _ = open_run(spec.out, asdict(spec), force=False)
        dataset = self.dataset if member.fold is None else self.folds[member.fold]
        work = TrainingPlan(
            spec=spec, head=head_of(spec), source=source, dataset=dataset, folder=folder, reporter=self.relay
        )
        write_split(folder, dataset)
        clock = PhaseTimer()
        if source.untrained or not spec.cache or spec.fine_tune is not None:
            manifest = execute_plan(work, clock)
            self._tell(member, manifest, sum(manifest.seconds.values()))
            return True
        self.relay.lines = False  # an epoch a line: of forty members nobody reads them
        shared = self._shared or self._prepare(work)
        clock.lap("features")
        return self._fit(member, work, shared, clock)

    def _prepare(self, work: TrainingPlan) -> SharedFeatures:
        """Features of all images, and the backbone in one file for all."""
        from models.classifier import features_model

        backbone, spec, views = (
            LazyBackbone(work.source, image_size=work.spec.image_size, pooling=work.spec.pooling),
            work.spec,
            views_of(self.spec.common),
        )
        parts: dict[str, Sequence[Example]] = {"train": self.dataset.part("train"), "test": self.dataset.part("test")}
        parts |= {"train": pooled(self.dataset)} if self.folds else {"validation": self.dataset.part("validation")}
        parts = {name: examples for name, examples in parts.items() if examples}
        model = features_model(backbone.model, pooling=spec.pooling)
        found = extract(
            parts,
            backbone.base(),
            build=lambda: model,
            views={part: views if part == "train" else CLEAN for part in parts},
            engine=spec.engine,
            augmenter=augmenter_of(work, backbone.image_size) if views.count > 1 else None,
            reporter=work.reporter,
        )
        work.reporter.note(f"{spec.backbone}: {found.line}")
        path = self.out / BACKBONES / f"{slugs(self.spec.backbones)[spec.backbone]}.keras"
        if not path.is_file():
            path.parent.mkdir(exist_ok=True)
            with atomic(path, suffix=".keras") as temporary:
                model.save(temporary)
        file = f"../../{BACKBONES}/{path.name}"
        self._shared = SharedFeatures(backbone=backbone, model=model, file=file, found=found)
        return self._shared

    def _parts(self, member: Member, found: Extracted) -> tuple[Features, Features]:
        if member.fold not in self._selected:
            self._selected.clear()
            whole = found.parts["train"]
            everything = np.arange(len(whole))
            if member.fold is None:
                self._selected[None] = FeatureSubset(whole, everything), found.parts["validation"]
            else:
                # `divide_folds` keeps the order of the pooled images.
                held = [each.split == "validation" for each in self.folds[member.fold].examples[: len(whole)]]
                inside, outside = everything[np.asarray(held)], everything[~np.asarray(held)]
                self._selected[member.fold] = FeatureSubset(whole, outside), FeatureSubset(whole, inside)
        return self._selected[member.fold]

    def _fit(self, member: Member, work: TrainingPlan, shared: SharedFeatures, clock: PhaseTimer) -> bool:
        train, validation = self._parts(member, shared.found)
        weights = self.legacy.image_weights(member, len(train))
        stage = stages_of(work.spec, untrained=False)[0]
        chosen = self.legacy.options(member, work, train.num_features)
        fitted = fit_heads(
            work.head,
            chosen,
            train=train,
            validation=validation,
            num_classes=len(work.dataset.class_names),
            optimizer=work.spec.rule,
            epochs=stage.epochs,
            class_weights=class_weights(work.dataset, work.spec.class_weights),
            sample_weights=weights,
            seed=work.spec.seed,
            reporter=self.relay,
        )
        self.legacy.leave_options(member, fitted)
        clock.lap("fit")
        extra: dict[str, Any] = {"features": shared.found.record, "engine": shared.found.engine}
        goes_on = True
        if self.spec.boost:
            assert weights is not None
            boost = samme(
                weights,
                head_answers(fitted.heads[fitted.best], train).argmax(1) != train.labels,
                len(work.dataset.class_names),
            )
            extra["boost"], goes_on = {"weight": boost.weight}, boost.go_on
            self.legacy.leave_weights(member, boost.images * len(train))
        self._write(member, work, shared, fitted, extra, clock)
        return goes_on

    def _write(
        self,
        member: Member,
        work: TrainingPlan,
        shared: SharedFeatures,
        fitted: FittedHeads,
        extra: dict[str, Any],
        clock: PhaseTimer,
    ) -> None:
        """Write the member as a run: its head, and where the backbone is."""
        import keras

        from pipelines.evaluation.metrics import report
        from pipelines.evaluation.saved_predictions import save_predictions

        head, (_, validation) = fitted.heads[fitted.best], self._parts(member, shared.found)
        answers = {"validation": (fitted.validation[fitted.best], validation.labels)}
        if "test" in shared.found.parts:
            test = shared.found.parts["test"]
            answers["test"] = head_answers(head, test), test.labels
        outcome = TrainingResult(
            model=keras.Model(shared.model.inputs[0], head(shared.model.outputs[0])),
            answers=answers,
            history=list(fitted.history),
            stages=[head_record(stages_of(work.spec, untrained=False)[0], fitted)],
            backbone={**shared.backbone.record(), "file": shared.file},
            notes=notes_of(shared.found),
            extra=extra,
        )
        with atomic(work.folder / HEAD_FILE, suffix=".keras") as temporary:
            head.save(temporary)
        write_csv(work.folder / "history.csv", *history_table(outcome.history))
        save_predictions(work.folder, answers, {part: work.dataset.part(part) for part in answers})  # type: ignore[arg-type]
        names = work.dataset.class_names
        metrics = {part: report(*judged, names).to_json() for part, judged in answers.items()}
        clock.lap("save")
        manifest = replace(manifest_of(work, outcome, metrics), seconds=clock.laps)
        finish_run(work.folder, manifest)
        self._tell(member, manifest, clock.laps["fit"] + clock.laps["save"])

    def _tell(self, member: Member, manifest: Manifest, seconds: float) -> None:
        found = manifest.metrics["validation"]
        self.relay.note(
            f"{member.name}: validation accuracy {found['accuracy']:.3f}, log-loss {found['log_loss']:.3f}, "
            f"{seconds:.1f} s"
        )
        self.relay.send(done=member.name)


if __name__ == "__main__":
    sys.exit(serve(main))
