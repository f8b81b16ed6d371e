"""`headstart train`: an image folder in, a run out."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.ensemble import Bag, Boost, Folds, Method, Seeds
from app.options.everywhere import terminal_of
from app.options.fine_tune import (
    Clip,
    Ema,
    FineTune,
    LabelSmoothing,
    LayerDecay,
    Layerwise,
    TensorBoard,
    TrainBn,
    WarmUp,
)
from app.options.fit import (
    Augment,
    Batch,
    Cache,
    ClassWeights,
    Epochs,
    LearningRate,
    NoColor,
    NoFlip,
    Optimizer,
    Patience,
    Precision,
    Rotate90,
    Seed,
    Strict,
    Views,
    WeightDecay,
)
from app.options.network import (
    DEFAULT,
    L2,
    Backbones,
    Dropout,
    Engine,
    HeadNames,
    Heads,
    Hidden,
    ImageSize,
    Pooling,
    Weights,
)
from pipelines.members.spec import MembersSpec
from pipelines.runs.spec import TrainSpec


def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            metavar="DATA",
            help="A folder with a subfolder a class, or with train/, validation/ and test/ of such; a CSV file "
            "with the columns path,label[,split]; or tfds:NAME[:VERSION].",
        ),
    ],
    *,
    out: Annotated[str, typer.Option("--out", metavar="RUN", help="Folder for the run.")],
    force: Annotated[bool, typer.Option("--force", help="Replace the run in --out.")] = False,
    backbones: Backbones = None,
    weights: Weights = DEFAULT.weights,
    image_size: ImageSize = None,
    engine: Engine = DEFAULT.engine,
    head_names: HeadNames = None,
    pooling: Pooling = DEFAULT.pooling,
    hidden: Hidden = None,
    dropout: Dropout = None,
    l2: L2 = None,
    heads: Heads = DEFAULT.heads,
    augment: Augment = DEFAULT.augment,
    no_flip: NoFlip = False,
    rotate90: Rotate90 = False,
    no_color: NoColor = False,
    views: Views = None,
    cache: Cache = DEFAULT.cache,
    strict: Strict = False,
    class_weights: ClassWeights = DEFAULT.class_weights,
    optimizer: Optimizer = None,
    learning_rate: LearningRate = None,
    epochs: Epochs = None,
    patience: Patience = DEFAULT.patience,
    batch: Batch = None,
    weight_decay: WeightDecay = None,
    precision: Precision = DEFAULT.precision,
    seed: Seed = 0,
    fine_tune: FineTune = None,
    layer_decay: LayerDecay = DEFAULT.layer_decay,
    warm_up: WarmUp = DEFAULT.warm_up,
    clip: Clip = DEFAULT.clip,
    label_smoothing: LabelSmoothing = DEFAULT.label_smoothing,
    ema: Ema = DEFAULT.ema,
    train_bn: TrainBn = False,
    tensorboard: TensorBoard = False,
    layerwise: Layerwise = False,
    seeds: Seeds = 1,
    folds: Folds = 0,
    bag: Bag = False,
    boost: Boost = False,
    method: Method = "greedy",
) -> None:
    """Train a classifier on your own pictures.

    headstart train photos/ --backbone mobilenet_v2 --out runs/photos
    """
    terminal = terminal_of(context)
    spec = TrainSpec(
        data=data,
        out=out,
        backbone=(backbones or [DEFAULT.backbone])[0],
        weights=weights,
        image_size=image_size,
        head=(head_names or [DEFAULT.head])[0],
        pooling=pooling,
        hidden=hidden,
        dropout=dropout,
        l2=l2,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        patience=patience,
        batch=batch,
        weight_decay=weight_decay,
        precision=precision,
        class_weights=class_weights,
        augment=augment,
        no_flip=no_flip,
        rotate90=rotate90,
        no_color=no_color,
        views=views,
        cache=cache,
        engine=engine,
        heads=heads,
        fine_tune=fine_tune,
        layer_decay=layer_decay,
        warm_up=warm_up,
        clip=clip,
        label_smoothing=label_smoothing,
        ema=ema,
        train_bn=train_bn,
        tensorboard=tensorboard,
        layerwise=layerwise,
        seed=seed,
        strict=strict,
    )
    members = MembersSpec(
        common=spec,
        backbones=tuple(backbones or [spec.backbone]),
        heads=tuple(head_names or [spec.head]),
        seeds=seeds,
        folds=folds,
        bag=bag,
        boost=boost,
        method=method,
    )
    if not members.single:
        from pipelines.train_members import train_members

        joined = train_members(members, force=force, reporter=terminal)
        from app.pages.ensemble import show

        show(terminal, joined, out)
        return
    from pipelines.train import train as run_training

    manifest = run_training(spec, force=force, reporter=terminal)

    from app.pages.report import training_page
    from pipelines.runs.report import Report

    reports = {part: Report.from_json(values) for part, values in manifest.metrics.items()}
    terminal.page(training_page(reports), stream="stderr")
    if manifest.data["skipped"]:
        terminal.warn(
            f"{manifest.data['skipped']} files are no readable image and were left out: see `{out}/skipped.csv`"
        )
    terminal.note(f"the run is in `{out}`; next: headstart predict {_quoted(out)} IMAGE")


def _quoted(text: str) -> str:
    import shlex

    return shlex.quote(text)
