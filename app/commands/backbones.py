"""`headstart backbones`: lists the backbones, or describes one."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Annotated

import typer

from app.options.completion import complete_backbone
from app.options.conv import CONV
from app.options.everywhere import terminal_of
from app.options.network import ImageSize
from app.options.panels import with_panels
from models.errors import UserError
from pipelines.runs.spec import ConvSpec


@with_panels(conv=CONV)
def backbones(
    context: typer.Context,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="NAME",
            autocompletion=complete_backbone,
            help="A backbone to describe; conv:FILTERS, a run or a .keras file.",
            show_default=False,
        ),
    ] = None,
    *,
    image_size: ImageSize = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV; with NAME, a line for every layer.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects; with NAME, one object.")] = False,
    conv: Callable[..., ConvSpec],
) -> None:
    """List the backbones, or describe one layer by layer.

    The list has their sizes, their accuracies on ImageNet and whether their weights are in the cache. The description
    of NAME has the shape, parameters, memory and receptive field of every layer, the windows and filters of those that
    have them, and the blocks for --fine-tune.

    headstart backbones
    headstart backbones vgg16
    headstart backbones conv:10,20 --image-size 28 --dense 50
    """
    terminal = terminal_of(context)
    if as_csv and as_json:
        raise UserError("--csv and --json exclude each other", "give one of them")
    if name is not None:
        from pipelines.backbones import describe_backbone

        description = describe_backbone(name, image_size=image_size, conv=conv())
        if as_json:
            terminal.data(_json(description.to_json()))
            return
        if as_csv:
            from pipelines.backbones import layer_table

            terminal.data(_csv(*layer_table(description)))
            return
        from app.pages.backbones import description_page

        terminal.page(description_page(description))
        return
    from pipelines.backbones import list_backbones

    summaries = list_backbones()
    if as_json:
        terminal.data(_json([summary.to_json() for summary in summaries]))
        return
    if as_csv:
        rows = [summary.to_json() for summary in summaries]
        terminal.data(_csv(tuple(rows[0]), [tuple(row.values()) for row in rows]))
        return
    from app.pages.backbones import list_page
    from models.weights import keras_home

    terminal.page(list_page(summaries, str(keras_home())))


def _csv(header: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    import csv
    import io

    text = io.StringIO()
    csv.writer(text, lineterminator="\n").writerows([header, *rows])
    return text.getvalue().removesuffix("\n")


def _json(data: object) -> str:
    import json

    return json.dumps(data, indent=2)
