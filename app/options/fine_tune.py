"""The options of `train` that say how a backbone's top blocks are trained after the head."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.panels import Panel
from pipelines.runs.spec import FineTuneSpec

PANEL = "Fine-tuning"
FineTune = Annotated[
    str | None,
    typer.Option(
        "--fine-tune",
        metavar="BLOCKS",
        rich_help_panel=PANEL,
        help="After the head, train the top blocks too: how many, the name of the lowest, or all; of the frozen model, "
        "the fine-tuned one and those between their weights, the best on validation is kept.",
    ),
]
LayerDecay = Annotated[
    float,
    typer.Option(
        "--layer-decay",
        min=0.01,
        max=1.0,
        rich_help_panel=PANEL,
        help="Factor on the learning rate from each block to the one below.",
    ),
]
WarmUp = Annotated[
    float,
    typer.Option(
        "--warm-up",
        min=0.0,
        max=100.0,
        rich_help_panel=PANEL,
        help="Epochs over which fine-tuning's learning rate rises from nothing.",
    ),
]
Clip = Annotated[
    float,
    typer.Option(
        "--clip",
        min=0.0,
        max=1000.0,
        rich_help_panel=PANEL,
        help="Greatest norm of all gradients of a step together in fine-tuning; 0 for any.",
    ),
]
LabelSmoothing = Annotated[
    float,
    typer.Option(
        "--label-smoothing",
        min=0.0,
        max=0.9,
        rich_help_panel=PANEL,
        help="Share of each label that is spread over all classes.",
    ),
]
Ema = Annotated[
    float,
    typer.Option(
        "--ema",
        min=0.0,
        max=0.9999,
        rich_help_panel=PANEL,
        help="Momentum of a moving average of the weights, which is what is kept; 0 for none.",
    ),
]
TrainBn = Annotated[
    bool,
    typer.Option("--train-bn", rich_help_panel=PANEL, help="Train BatchNormalization too; else it stays frozen."),
]
TensorBoard = Annotated[
    bool, typer.Option("--tensorboard", rich_help_panel=PANEL, help="Write events for TensorBoard into the run.")
]
Layerwise = Annotated[
    bool,
    typer.Option("--layerwise", rich_help_panel=PANEL, help="Train a network from scratch block by block first."),
]
FINE_TUNE = Panel(
    record=FineTuneSpec,
    options={
        "blocks": FineTune,
        "layer_decay": LayerDecay,
        "warm_up": WarmUp,
        "clip": Clip,
        "label_smoothing": LabelSmoothing,
        "ema": Ema,
        "train_bn": TrainBn,
        "tensorboard": TensorBoard,
        "layerwise": Layerwise,
    },
)
