"""`headstart preview`: what an augmentation policy does to one's own pictures."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of
from app.options.fit import NoColor, NoFlip, Rotate90
from pipelines.images.policies import POLICIES


def preview(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as for train.")],
    *,
    out: Annotated[str, typer.Option("--out", metavar="FILE", help="The picture to write, .png or .jpg.")],
    augment: Annotated[
        str, typer.Option("--augment", metavar="POLICY", help=f"{', '.join(POLICIES)}, or a TOML file.")
    ] = "light",
    no_flip: NoFlip = False,
    rotate90: Rotate90 = False,
    no_color: NoColor = False,
    per_class: Annotated[int, typer.Option("--per-class", min=1, help="Images of each class.")] = 2,
    size: Annotated[int, typer.Option("--size", min=16, max=1024, help="Side of one view, pixels.")] = 160,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Of the views, as in a training.")] = 0,
) -> None:
    """Draw images and eight augmented views of each, to see what a policy does before training with it.

    headstart preview photos/ --augment strong --out grid.png
    """
    terminal = terminal_of(context)
    from pipelines.images.policies import find_policy
    from pipelines.images.policy import Switches
    from pipelines.preview import preview as draw

    drawn = draw(
        data,
        out,
        policy=find_policy(augment, Switches(no_flip=no_flip, rotate90=rotate90, no_color=no_color)),
        size=size,
        per_class=per_class,
        seed=seed,
        reporter=terminal,
    )
    terminal.note(f"{drawn.rows} images of {drawn.classes} classes, the original on the left")
    terminal.data(str(drawn.path))
