"""The story of a training: an image folder in, a run out.

headstart train photos/ --backbone resnet50 --out runs/photos
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from models.errors import UserError, lookup
from models.heads import HEADS, Head
from pipelines import runs
from pipelines.dataset import scan
from pipelines.idle import idle_options
from pipelines.policies import find_policy
from pipelines.progress import Reporter, Silent
from pipelines.specs import ENGINES, SPLITS, Dataset, Example, Stage, TrainSpec
from pipelines.versions import versions

if TYPE_CHECKING:
    import keras
    import numpy as np
    from numpy.typing import NDArray

    from pipelines.source import Source

HEAD_EPOCHS = 60
NETWORK_EPOCHS = 40


def train(spec: TrainSpec, *, force: bool = False, reporter: Reporter | None = None) -> runs.Manifest:
    """Train a classifier on the user's images and leave a complete run in `spec.out`.

    Args:
        spec: what is asked for.
        force: replace a run that is there.
        reporter: where words and progress go; nowhere by default.

    Returns:
        The run's manifest.

    Raises:
        UserError: something the user can mend: the data, the weights, the folder.
    """
    say = reporter or Silent()
    clock = Clock()

    # Everything that can be wrong and needs no TensorFlow is found before it is imported.
    head = head_of(spec)
    from pipelines.source import find_source

    source = find_source(spec.backbone, spec.weights)
    refuse_nonsense(spec, source)
    for line in idle_options(spec, untrained=source.untrained):
        say.warn(line)
    listing = scan(spec.data, reporter=say)
    folder, resumed = runs.open_new(spec.out, asdict(spec), force=force)
    if resumed:
        say.note("going on with the interrupted training")

    # Which images, which parts: every file is decoded once.
    from pipelines.check import check

    dataset = check(listing, strict=spec.strict, reporter=say)
    for remark in dataset.remarks:
        say.note(remark)
    runs.write_split(folder, dataset)
    clock.lap("check")

    work = Work(spec=spec, head=head, source=source, dataset=dataset, folder=folder, reporter=say)
    return train_checked(work, clock)


def train_checked(work: Work, clock: Clock) -> runs.Manifest:
    """Train on images that are checked and divided, and complete the run in `work.folder`."""
    spec, dataset, folder = work.spec, work.dataset, work.folder

    # The backbone gets a new head: on features computed once, or on fresh views of the pixels.
    import keras

    keras.utils.set_random_seed(spec.seed)
    outcome = _train_stages(work)
    clock.lap("train")

    # What the run answers, judged on images that decided nothing (test) and on those that chose it (validation).
    from pipelines.curves import PICTURE, draw_curves
    from pipelines.judged import save_answers
    from pipelines.metrics import report

    metrics = {
        part: report(probabilities, labels, dataset.class_names).to_json()
        for part, (probabilities, labels) in outcome.answers.items()
    }
    runs.save_model(outcome.model, folder)
    runs.write_csv(folder / "history.csv", *history_table(outcome.history))
    draw_curves(outcome.history, outcome.stages, folder / PICTURE)
    save_answers(folder, outcome.answers, {part: dataset.part(part) for part in SPLITS})
    manifest = manifest_of(work, outcome, metrics)
    clock.lap("save")
    manifest = replace(manifest, seconds=clock.laps)
    runs.finish(folder, manifest)
    return manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class Work:
    """What every stage of one training shares."""

    spec: TrainSpec
    head: Head
    source: Source
    dataset: Dataset
    folder: Path
    reporter: Reporter

    @property
    def state(self) -> Path:
        """Where an unfinished training keeps what it needs to go on."""
        return self.folder / runs.STATE


@dataclass(slots=True, kw_only=True)
class Outcome:
    """What training gives: the model, its answers on the parts that judge it, and how it went."""

    model: keras.Model
    answers: dict[str, tuple[NDArray[np.float32], NDArray[np.int32]]]
    history: list[dict[str, Any]]
    stages: list[dict[str, Any]]
    backbone: dict[str, Any]
    notes: list[str]
    extra: dict[str, Any]


def _train_stages(work: Work) -> Outcome:
    """Head first, then what is to be fine-tuned; or everything from scratch."""
    from pipelines import stages

    if work.source.untrained:
        from pipelines.from_scratch import from_scratch

        return from_scratch(work)
    outcome = stages.head_on_features(work) if work.spec.cache else stages.head_on_pixels(work)
    if work.spec.fine_tune is not None:
        from pipelines.fine_tune import fine_tune

        outcome = fine_tune(work, outcome)
    return outcome


def stages_of(spec: TrainSpec, *, untrained: bool) -> tuple[Stage, ...]:
    """The stages that a spec asks for, in order."""
    rate = spec.learning_rate
    if untrained:
        return (
            Stage(
                name="from scratch", unfreeze="all", epochs=spec.epochs or NETWORK_EPOCHS, learning_rate=rate or 1e-3
            ),
        )
    head = Stage(name="head", unfreeze="none", epochs=spec.epochs or HEAD_EPOCHS, learning_rate=rate or 1e-3)
    if spec.fine_tune is None:
        return (head,)
    return head, Stage(
        name="fine-tune", unfreeze=spec.fine_tune, epochs=spec.epochs or 15, learning_rate=(rate or 1e-3) / 10
    )


def class_weights(dataset: Dataset, policy: str) -> NDArray[np.float32] | None:
    """Weights (classes,) that make every class count alike in training, of mean 1 over the images; None for `none`."""
    if policy == "none":
        return None
    import numpy as np
    from sklearn.utils.class_weight import compute_class_weight

    labels = np.asarray([each.label for each in dataset.part("train")])
    numbers = np.arange(len(dataset.class_names))
    return np.asarray(compute_class_weight("balanced", classes=numbers, y=labels), np.float32)


def head_of(spec: TrainSpec) -> Head:
    """The head that a spec asks for."""
    head = lookup(HEADS, spec.head, "head")
    if spec.hidden is not None:
        if not head.hidden:
            raise UserError(f"the head `{head.name}` has no hidden layer", "use --head mlp with --hidden")
        head = replace(head, hidden=spec.hidden)
    return head


def refuse_nonsense(spec: TrainSpec, source: Source) -> None:
    """Refuse options that do not go together."""
    lookup(dict.fromkeys(ENGINES), spec.engine, "engine")
    find_policy(spec.augment)
    if source.untrained and spec.fine_tune is not None:
        raise UserError(
            f"`{source.name}` starts from random weights: there is nothing to fine-tune",
            "leave --fine-tune away: every layer is trained",
        )
    if spec.layerwise and not source.untrained:
        raise UserError(
            f"`{source.name}` is pretrained: --layerwise is for networks that are trained from scratch",
            "add --weights none, or leave --layerwise away",
        )
    if spec.views is not None and spec.views > 1 and spec.augment == "none":
        raise UserError(
            "several views of an image need an augmentation policy", "add --augment light, or leave --views away"
        )


def manifest_of(work: Work, outcome: Outcome, metrics: dict[str, Any]) -> runs.Manifest:
    """What is kept of a training."""
    return runs.Manifest(
        class_names=work.dataset.class_names,
        image_size=int(outcome.model.input_shape[1]),
        backbone=outcome.backbone,
        head={"pooling": work.spec.pooling, **asdict(work.head)},
        spec=asdict(work.spec),
        data=data_of(work.dataset),
        metrics=metrics,
        stages=tuple(outcome.stages),
        notes=(*idle_options(work.spec, untrained=work.source.untrained), *outcome.notes),
        versions=versions(),
        extra=outcome.extra,
    )


def data_of(dataset: Dataset) -> dict[str, Any]:
    """What run.json says of the images."""
    names = dataset.class_names
    return {
        "root": str(Path(dataset.root).absolute()) if dataset.origin != "tfds" else dataset.root,
        "origin": dataset.origin,
        "images": {part: _counts(dataset.part(part), names) for part in SPLITS if dataset.part(part)},
        "skipped": len(dataset.skipped),
        "remarks": list(dataset.remarks),
    }


def _counts(examples: Sequence[Example], names: tuple[str, ...]) -> dict[str, int]:
    counts = dict.fromkeys(names, 0)
    for example in examples:
        counts[names[example.label]] += 1
    return counts


def history_table(history: list[dict[str, Any]]) -> tuple[tuple[str, ...], list[tuple[object, ...]]]:
    """History records as a header and rows."""
    header = tuple(dict.fromkeys(name for record in history for name in record))
    return header, [tuple(record.get(name, "") for name in header) for record in history]


class Clock:
    """Wall time from lap to lap, in seconds."""

    def __init__(self) -> None:
        self.laps: dict[str, float] = {}
        self._last = time.monotonic()

    def lap(self, name: str) -> None:
        """End a phase."""
        now = time.monotonic()
        self.laps[name] = round(now - self._last, 2)
        self._last = now
