"""The options that say what an augmentation may do, for `train` and `preview`."""

from __future__ import annotations

from typing import Annotated

import typer

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
