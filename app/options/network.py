"""The options of `train` for the network and its head."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.completion import complete_backbone, complete_engine, complete_head, complete_weights
from app.options.panels import Panel
from models import heads
from models.engines.table import ENGINES
from pipelines.runs.spec import FeatureSet, HeadSpec, NetworkSpec
from pipelines.runs.square import Fit

DEFAULT_BACKBONE, DEFAULT_HEAD = NetworkSpec().backbone, HeadSpec().name
_NETWORK, _HEAD = "Network", "Head"
Backbones = Annotated[
    list[str] | None,
    typer.Option(
        "--backbone",
        "-b",
        autocompletion=complete_backbone,
        metavar="NAME|conv:FILTERS|RUN|FILE",
        rich_help_panel=_NETWORK,
        show_default=DEFAULT_BACKBONE,
        help="A name of `headstart backbones`, conv:10,20 for a small network of so many filters a layer, a run of "
        "your own, or a .keras file; several make an ensemble.",
    ),
]
Weights = Annotated[
    str,
    typer.Option(
        "--weights",
        autocompletion=complete_weights,
        metavar="imagenet|none|FILE",
        rich_help_panel=_NETWORK,
        help="none: random ones, and all layers are trained.",
    ),
]
ImageSize = Annotated[
    int | None,
    typer.Option(
        "--image-size",
        min=16,
        max=2048,
        rich_help_panel=_NETWORK,
        show_default="the backbone's own",
        help="Side of the square input, pixels.",
    ),
]
FitOption = Annotated[
    Fit | None,
    typer.Option(
        "--fit",
        rich_help_panel=_NETWORK,
        show_default="that of a run in --backbone; squash",
        help="How a picture becomes that square: squash scales its sides independently, crop takes the greatest "
        "centred square, pad keeps all of it and its proportions, on mid-grey.",
    ),
]
Engine = Annotated[
    str,
    typer.Option(
        "--engine",
        autocompletion=complete_engine,
        metavar="|".join(("auto", *ENGINES)),
        rich_help_panel=_NETWORK,
        help="What the frozen base runs on: auto measures and takes the fastest.",
    ),
]
HeadNames = Annotated[
    list[str] | None,
    typer.Option(
        "--head",
        autocompletion=complete_head,
        metavar="|".join(heads.HEADS),
        rich_help_panel=_HEAD,
        show_default=DEFAULT_HEAD,
        help="What is put on the features; several make an ensemble.",
    ),
]
Pooling = Annotated[
    heads.Pooling,
    typer.Option(
        "--pooling",
        rich_help_panel=_HEAD,
        help="How a feature map becomes a vector; fc6, fc7: by the first or second fully connected layer of VGG, "
        "AlexNet or ZFNet.",
    ),
]
Features = Annotated[
    FeatureSet,
    typer.Option(
        "--features",
        rich_help_panel=_HEAD,
        help="What the head sees of a frozen network: the last layer's output, or with it the averaged activations of "
        "the upper blocks (levels). auto: cross-validation chooses, for a linear head.",
    ),
]
Mirror = Annotated[
    bool,
    typer.Option(
        "--mirror",
        rich_help_panel=_HEAD,
        help="Average the features of an image and its mirror image, in training and in the model: twice the time an "
        "image. Not for text and the like.",
    ),
]
Hidden = Annotated[
    int | None,
    typer.Option(
        "--hidden",
        min=1,
        max=65_536,
        rich_help_panel=_HEAD,
        show_default="256",
        help="Units of the mlp head's hidden layer.",
    ),
]
Dropout = Annotated[
    float | None,
    typer.Option(
        "--dropout",
        min=0.0,
        max=0.95,
        rich_help_panel=_HEAD,
        show_default="0 for linear, several are tried for mlp",
        help="Share of units left out in training.",
    ),
]
L2 = Annotated[
    float | None,
    typer.Option(
        "--l2",
        min=0.0,
        max=1000.0,
        rich_help_panel=_HEAD,
        show_default="several are tried",
        help="Penalty on the head's squared weights.",
    ),
]
Heads = Annotated[
    int,
    typer.Option(
        "--heads",
        min=1,
        max=1024,
        rich_help_panel=_HEAD,
        help="Heads that are tried on the cached features: penalties of a linear head, hyperparameters of others; an "
        "ensemble tries at most 4 of an mlp.",
    ),
]
NETWORK = Panel(
    record=NetworkSpec, options={"weights": Weights, "image_size": ImageSize, "fit": FitOption, "engine": Engine}
)
HEAD = Panel(
    record=HeadSpec,
    options={
        "pooling": Pooling,
        "features": Features,
        "mirror": Mirror,
        "hidden": Hidden,
        "dropout": Dropout,
        "l2": L2,
        "heads": Heads,
    },
)
