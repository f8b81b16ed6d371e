"""`headstart compare RUN RUN...`: runs side by side."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Folders of runs; the others are compared with the first.")
    ],
    *,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Load each model and measure how fast it answers here.")
    ] = True,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Put runs side by side: what they are, what they cost, and whether one is better than the first.

    headstart compare runs/transfer runs/scratch
    """
    terminal = terminal_of(context)
    from pipelines.compare import compare as put_side_by_side

    rows = put_side_by_side(runs, speed=speed, reporter=terminal)
    if as_json:
        import json

        terminal.data(json.dumps([row.to_json() for row in rows], indent=2, allow_nan=False))
        return
    from app.pages.compare import compare_page

    terminal.page(compare_page(rows))
