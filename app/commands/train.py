"""`headstart train`: an image folder in, a run out."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.augment_options import NoColor, NoFlip, Rotate90
from app.ensemble_options import Bag, Boost, Folds, Method, Seeds
from app.fine_tune_options import Ema, FineTune, LabelSmoothing, LayerDecay, Layerwise, TensorBoard, TrainBn
from app.options import terminal_of
from models.heads import HEADS, Pooling
from pipelines.roster import MembersSpec
from pipelines.specs import TrainSpec

_DEFAULT = TrainSpec(data="", out="")
_DATA, _NETWORK, _HEAD, _FIT = "Data", "Network", "Head", "Training"


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
    backbones: Annotated[
        list[str] | None,
        typer.Option(
            "--backbone",
            metavar="NAME|RUN|FILE",
            rich_help_panel=_NETWORK,
            show_default=_DEFAULT.backbone,
            help="A name of `headstart backbones`, a run of your own, or a .keras file; several make an ensemble.",
        ),
    ] = None,
    weights: Annotated[
        str,
        typer.Option(
            "--weights",
            metavar="imagenet|none|FILE",
            rich_help_panel=_NETWORK,
            help="none: random ones, and all layers are trained.",
        ),
    ] = _DEFAULT.weights,
    image_size: Annotated[
        int | None,
        typer.Option(
            "--image-size",
            min=16,
            max=2048,
            rich_help_panel=_NETWORK,
            show_default="the backbone's own",
            help="Side of the square input, pixels.",
        ),
    ] = None,
    engine: Annotated[
        str,
        typer.Option(
            "--engine",
            metavar="NAME",
            rich_help_panel=_NETWORK,
            help="What the frozen base runs on: auto measures and takes the fastest; keras, tensorflow, openvino.",
        ),
    ] = _DEFAULT.engine,
    head_names: Annotated[
        list[str] | None,
        typer.Option(
            "--head",
            metavar="|".join(HEADS),
            rich_help_panel=_HEAD,
            show_default=_DEFAULT.head,
            help="What is put on the features; several make an ensemble.",
        ),
    ] = None,
    pooling: Annotated[
        Pooling, typer.Option("--pooling", rich_help_panel=_HEAD, help="How a feature map becomes a vector.")
    ] = _DEFAULT.pooling,
    hidden: Annotated[
        int | None,
        typer.Option(
            "--hidden", min=1, rich_help_panel=_HEAD, show_default="256", help="Units of the mlp head's hidden layer."
        ),
    ] = None,
    dropout: Annotated[
        float | None,
        typer.Option(
            "--dropout",
            min=0.0,
            max=0.95,
            rich_help_panel=_HEAD,
            show_default="several are tried",
            help="Share of units left out in training.",
        ),
    ] = None,
    l2: Annotated[
        float | None,
        typer.Option(
            "--l2",
            min=0.0,
            rich_help_panel=_HEAD,
            show_default="several are tried",
            help="Penalty on the head's squared weights.",
        ),
    ] = None,
    heads: Annotated[
        int,
        typer.Option(
            "--heads",
            min=1,
            max=1024,
            rich_help_panel=_HEAD,
            help="Heads trained at once on the cached features; the best on validation becomes the run's.",
        ),
    ] = _DEFAULT.heads,
    augment: Annotated[
        str,
        typer.Option(
            "--augment",
            metavar="POLICY",
            rich_help_panel=_DATA,
            help="none, light, medium, strong, or a TOML file; `light` flips left and right, turns and zooms a little.",
        ),
    ] = _DEFAULT.augment,
    no_flip: NoFlip = False,
    rotate90: Rotate90 = False,
    no_color: NoColor = False,
    views: Annotated[
        int | None,
        typer.Option(
            "--views",
            min=1,
            max=64,
            rich_help_panel=_DATA,
            show_default="by the policy",
            help="Views of each image in the feature cache; the first is the clean image.",
        ),
    ] = None,
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache",
            rich_help_panel=_DATA,
            help="Run the frozen base once and keep its features, or in every epoch on fresh views.",
        ),
    ] = _DEFAULT.cache,
    strict: Annotated[
        bool, typer.Option("--strict", rich_help_panel=_DATA, help="An unreadable image is an error.")
    ] = False,
    class_weights: Annotated[
        Literal["auto", "none"],
        typer.Option(
            "--class-weights", rich_help_panel=_FIT, help="auto: every class counts alike, however many images it has."
        ),
    ] = _DEFAULT.class_weights,
    optimizer: Annotated[
        Literal["adam", "adamw", "sgd"] | None,
        typer.Option(
            "--optimizer", rich_help_panel=_FIT, show_default="adam; a classic's own", help="The rule of the steps."
        ),
    ] = None,
    learning_rate: Annotated[
        float | None,
        typer.Option(
            "--learning-rate",
            min=1e-8,
            max=100.0,
            rich_help_panel=_FIT,
            show_default="by the stage",
            help="The first one; divided by 10 on a plateau.",
        ),
    ] = None,
    epochs: Annotated[
        int | None,
        typer.Option(
            "--epochs",
            min=1,
            rich_help_panel=_FIT,
            show_default="by the stage",
            help="At most; training stops when validation stops getting better.",
        ),
    ] = None,
    patience: Annotated[
        int,
        typer.Option(
            "--patience", min=1, rich_help_panel=_FIT, help="Epochs without a better validation loss before it stops."
        ),
    ] = _DEFAULT.patience,
    batch: Annotated[
        int | None,
        typer.Option(
            "--batch",
            min=1,
            max=4096,
            rich_help_panel=_FIT,
            show_default="32; a classic's own",
            help="Images a step where a network is trained.",
        ),
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, rich_help_panel=_FIT, help="Of everything that is drawn.")] = 0,
    fine_tune: FineTune = None,
    layer_decay: LayerDecay = _DEFAULT.layer_decay,
    label_smoothing: LabelSmoothing = _DEFAULT.label_smoothing,
    ema: Ema = _DEFAULT.ema,
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
        backbone=(backbones or [_DEFAULT.backbone])[0],
        weights=weights,
        image_size=image_size,
        head=(head_names or [_DEFAULT.head])[0],
        pooling=pooling,
        hidden=hidden,
        dropout=dropout,
        l2=l2,
        optimizer=optimizer,
        learning_rate=learning_rate,
        epochs=epochs,
        patience=patience,
        batch=batch,
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
        from pipelines.members import train_members

        joined = train_members(members, force=force, reporter=terminal)
        from app.ensemble_page import show

        show(terminal, joined, out)
        return
    from pipelines.train import train as run_training

    manifest = run_training(spec, force=force, reporter=terminal)

    from app.report_page import training_page
    from pipelines.report import Report

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
