"""`headstart preview`: draws augmented views of images."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.completion import complete_policy
from app.options.everywhere import terminal_of
from app.options.fit import LARGEST_SEED, NoColor, NoFlip, Rotate90
from pipelines.images.policies import POLICIES
from pipelines.runs.square import Fit, Square


def preview(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as for train.")],
    *,
    out: Annotated[str, typer.Option("--out", "-o", metavar="FILE", help="Image file for the views, .png or .jpg.")],
    augment: Annotated[
        str,
        typer.Option(
            "--augment",
            metavar="POLICY",
            autocompletion=complete_policy,
            help=f"{', '.join(POLICIES)}, or a TOML file.",
        ),
    ] = "light",
    no_flip: NoFlip = False,
    rotate90: Rotate90 = False,
    no_color: NoColor = False,
    per_class: Annotated[int, typer.Option("--per-class", min=1, max=1000, help="Images per class.")] = 2,
    size: Annotated[int, typer.Option("--size", min=16, max=1024, help="Side of a view in pixels.")] = 160,
    fit: Annotated[
        Fit, typer.Option("--fit", help="How a picture becomes a square, as of train: what a network would see.")
    ] = "squash",
    seed: Annotated[
        int,
        typer.Option("--seed", min=0, max=LARGEST_SEED, help="Random seed; training with it draws the same views."),
    ] = 0,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Draw images with eight augmented views of each.

    Shows what an augmentation policy does before it is trained with.

    headstart preview photos/ --augment strong --out grid.png
    """
    terminal = terminal_of(context)
    from pipelines.images.policies import find_policy
    from pipelines.images.policy import Switches
    from pipelines.preview import preview as draw_preview

    drawing = draw_preview(
        data,
        out,
        policy=find_policy(augment, Switches(no_flip=no_flip, rotate90=rotate90, no_color=no_color)),
        square=Square(size=size, fit=fit),
        per_class=per_class,
        seed=seed,
        reporter=terminal,
    )
    from pipelines.system.text import counted

    images, classes = counted(drawing.rows, "image"), counted(drawing.classes, "class", "classes")
    terminal.note(f"{images} of {classes}, the original on the left")
    if as_json:
        from app.pages.as_json import print_json

        print_json(terminal, {"path": str(drawing.path), "rows": drawing.rows, "classes": drawing.classes})
        return
    terminal.data(str(drawing.path))
