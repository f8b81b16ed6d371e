"""The options of `train` for the images and for how weights are fitted."""

from __future__ import annotations

from typing import Annotated, Literal, get_args

import typer

from app.options.completion import complete_policy
from app.options.panels import Panel
from pipelines.images.policies import POLICIES
from pipelines.runs.spec import DataSpec, FitSpec, Init, Optimizer

_DATA, _FIT = "Data", "Training"
Augment = Annotated[
    str,
    typer.Option(
        "--augment",
        autocompletion=complete_policy,
        metavar="POLICY",
        rich_help_panel=_DATA,
        help=f"{', '.join(POLICIES)}, or a TOML file; `light` flips left and right, turns and zooms a little; "
        "`alexnet` crops, flips and shifts colours as Krizhevsky et al. 2012; `medium` and `strong` crop at random as "
        "Szegedy et al. 2015 and change colours.",
    ),
]
Views = Annotated[
    int | None,
    typer.Option(
        "--views",
        min=1,
        max=64,
        rich_help_panel=_DATA,
        show_default="by the policy",
        help="Views of each image in the feature cache; the first is the clean image.",
    ),
]
Cache = Annotated[
    bool,
    typer.Option(
        "--cache/--no-cache",
        rich_help_panel=_DATA,
        help="Run the frozen base once and keep its features, or in every epoch on fresh views.",
    ),
]
Strict = Annotated[bool, typer.Option("--strict", rich_help_panel=_DATA, help="An unreadable image is an error.")]
ClassWeights = Annotated[
    Literal["auto", "none"],
    typer.Option(
        "--class-weights", rich_help_panel=_FIT, help="auto: every class counts alike, however many images it has."
    ),
]
Validation = Annotated[
    Literal["auto", "hold-out"],
    typer.Option(
        "--validation",
        rich_help_panel=_FIT,
        help="auto: cross-validation chooses the head, which is then fitted to the validation images too; "
        "hold-out: they choose it and stay out. Fine-tuned blocks, and members whose heads are trained in steps "
        "(--epochs, --learning-rate, --optimizer, --dropout, mlp), hold them out.",
    ),
]


def several(values: list[str] | None) -> tuple[str, ...]:
    """The values of an option that members differ in; empty where they share one."""
    return tuple(values) if values and len(values) > 1 else ()


def require_optimizers(values: list[str] | None) -> list[str] | None:
    """Refuse a rule that there is not: Typer takes no lists of choices."""
    return _require_each(get_args(Optimizer), values)


def require_inits(values: list[str] | None) -> list[str] | None:
    """Refuse a distribution that there is not."""
    return _require_each(get_args(Init), values)


def _require_each(choices: tuple[str, ...], values: list[str] | None) -> list[str] | None:
    for value in values or ():
        if value not in choices:
            raise typer.BadParameter(f"{value!r} is not one of {', '.join(choices)}")
    return values


Optimizers = Annotated[
    list[str] | None,
    typer.Option(
        "--optimizer",
        metavar="|".join(get_args(Optimizer)),
        callback=require_optimizers,
        rich_help_panel=_FIT,
        show_default="adam; a classic's own",
        help="The rule of the steps; several make an ensemble.",
    ),
]
Inits = Annotated[
    list[str] | None,
    typer.Option(
        "--init",
        metavar="|".join(get_args(Init)),
        callback=require_inits,
        rich_help_panel=_FIT,
        show_default="the network's own",
        help="Distribution of the initial weights of an mlp head, or of a network from scratch; several make an "
        "ensemble.",
    ),
]
LearningRate = Annotated[
    float | None,
    typer.Option(
        "--learning-rate",
        min=1e-8,
        max=100.0,
        rich_help_panel=_FIT,
        show_default="by the stage",
        help="The first one, divided by 10 on a plateau; --fine-tune starts at a tenth of it and follows a cosine.",
    ),
]
Epochs = Annotated[
    int | None,
    typer.Option(
        "--epochs",
        min=1,
        max=100_000,
        rich_help_panel=_FIT,
        show_default="by the stage",
        help="At most; training stops when validation stops getting better.",
    ),
]
Patience = Annotated[
    int,
    typer.Option(
        "--patience",
        min=1,
        max=100_000,
        rich_help_panel=_FIT,
        help="Epochs without a better validation loss before it stops.",
    ),
]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch",
        min=1,
        max=4096,
        rich_help_panel=_FIT,
        show_default="32; a classic's own",
        help="Images a step where a network is trained.",
    ),
]
WeightDecay = Annotated[
    float | None,
    typer.Option(
        "--weight-decay",
        min=0.0,
        max=1.0,
        rich_help_panel=_FIT,
        show_default="the optimizer's; a classic's own",
        help="Pull on kernels towards zero where a network is trained; biases and normalisation are left alone.",
    ),
]
Momentum = Annotated[
    float | None,
    typer.Option(
        "--momentum",
        min=0.0,
        max=0.9999,
        rich_help_panel=_FIT,
        show_default="0.9",
        help="Share of the last step that sgd takes again where a network is trained.",
    ),
]
Precision = Annotated[
    Literal["auto", "float32", "float16", "bfloat16"],
    typer.Option(
        "--precision",
        rich_help_panel=_FIT,
        help="What a network is trained in; auto: half precision on a GPU that computes in it, float32 elsewhere.",
    ),
]
LARGEST_SEED = 4_000_000_000  # Keras takes 32 bits, and the members of an ensemble count up from the first seed
Seed = Annotated[
    int,
    typer.Option("--seed", min=0, max=LARGEST_SEED, rich_help_panel=_FIT, help="Of everything that is drawn."),
]
PANEL = "Data"
NoFlip = Annotated[bool, typer.Option("--no-flip", rich_help_panel=PANEL, help="Never mirror: for text and the like.")]
Rotate90 = Annotated[
    bool,
    typer.Option(
        "--rotate90", rich_help_panel=PANEL, help="Turn by quarters too: where up means nothing, as from the air."
    ),
]
NoColor = Annotated[
    bool,
    typer.Option("--no-color", rich_help_panel=PANEL, help="Leave colours alone: where they tell the classes apart."),
]
DATA = Panel(
    record=DataSpec,
    options={
        "augment": Augment,
        "no_flip": NoFlip,
        "rotate90": Rotate90,
        "no_color": NoColor,
        "views": Views,
        "cache": Cache,
        "strict": Strict,
    },
)
FIT = Panel(
    record=FitSpec,
    options={
        "class_weights": ClassWeights,
        "validation": Validation,
        "learning_rate": LearningRate,
        "epochs": Epochs,
        "patience": Patience,
        "batch": Batch,
        "weight_decay": WeightDecay,
        "momentum": Momentum,
        "precision": Precision,
        "seed": Seed,
    },
)
