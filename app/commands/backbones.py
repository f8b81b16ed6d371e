"""`headstart backbones`: what `--backbone` takes."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options import terminal_of


def backbones(
    context: typer.Context,
    *,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """List the backbones, with their sizes, accuracies on ImageNet and whether their weights are in the cache.

    headstart backbones
    headstart backbones --json
    """
    from pipelines.catalogue import as_rows, catalogue

    entries = catalogue()
    terminal = terminal_of(context)
    if as_json:
        import json

        terminal.data(json.dumps(as_rows(entries), indent=2))
        return
    from app.backbones_page import catalogue_page
    from models.weights import keras_home

    terminal.page(catalogue_page(entries, str(keras_home())))
