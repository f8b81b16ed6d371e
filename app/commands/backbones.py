"""`headstart backbones`: what `--backbone` takes."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def backbones(
    context: typer.Context,
    name: Annotated[
        str | None, typer.Argument(metavar="NAME", help="One backbone: its layers and blocks.", show_default=False)
    ] = None,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects; of a NAME, one object.")] = False,
) -> None:
    """List the backbones, with their sizes, accuracies on ImageNet and whether their weights are in the cache.

    Of a NAME: every layer with its shape, parameters, memory and receptive field, and the blocks for --fine-tune.

    headstart backbones
    headstart backbones vgg16
    """
    terminal = terminal_of(context)
    if name is not None:
        from pipelines.backbones import describe

        anatomy = describe(name)
        if as_json:
            terminal.data(_json(anatomy.to_json()))
            return
        from app.pages.backbones import anatomy_page

        terminal.page(anatomy_page(anatomy))
        return
    from pipelines.backbones import as_rows, catalogue

    entries = catalogue()
    if as_json:
        terminal.data(_json(as_rows(entries)))
        return
    from app.pages.backbones import catalogue_page
    from models.weights import keras_home

    terminal.page(catalogue_page(entries, str(keras_home())))


def _json(data: object) -> str:
    import json

    return json.dumps(data, indent=2)
