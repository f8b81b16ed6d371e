"""The options of `train` and `backbones` for the layers of a small network `conv:FILTERS`."""

from __future__ import annotations

from typing import Annotated, Literal

import typer

from app.options.panels import Panel
from models.conv_backbone import SIDE
from models.conv_network import Activation, ConvNetwork
from pipelines.runs.spec import ConvSpec

_PANEL = "Small network, with --backbone conv:FILTERS"
_DEFAULT = ConvNetwork(filters=(10, 20))
Kernel = Annotated[
    int | None,
    typer.Option(
        "--kernel",
        min=1,
        max=64,
        rich_help_panel=_PANEL,
        show_default=str(_DEFAULT.kernel),
        help="Side of its kernels, pixels; a 2 x 2 maximum follows each.",
    ),
]
ActivationName = Annotated[
    Activation | None,
    typer.Option(
        "--activation", rich_help_panel=_PANEL, show_default=_DEFAULT.activation, help="After each of its layers."
    ),
]
Dense = Annotated[
    str | None,
    typer.Option(
        "--dense",
        metavar="UNITS",
        rich_help_panel=_PANEL,
        show_default="none",
        help="Fully connected layers above its maps, such as 50 or 120,84.",
    ),
]
InputChannels = Annotated[
    Literal[1, 3] | None,
    typer.Option(
        "--channels",
        rich_help_panel=_PANEL,
        show_default=str(_DEFAULT.channels),
        help=f"1: it sees grey pictures, 3: colours; of {SIDE} x {SIDE} pixels without --image-size.",
    ),
]
CONV = Panel(
    record=ConvSpec,
    options={"kernel": Kernel, "activation": ActivationName, "dense": Dense, "channels": InputChannels},
)
