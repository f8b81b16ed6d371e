"""`headstart compare`: compares runs with the first of them."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def compare(
    context: typer.Context,
    runs: Annotated[
        list[str], typer.Argument(metavar="RUN...", help="Folders of runs; each is compared with the first.")
    ],
    *,
    speed: Annotated[
        bool, typer.Option("--speed/--no-speed", help="Load each model and measure its speed on this machine.")
    ] = True,
    html: Annotated[
        str | None,
        typer.Option(
            "--html", metavar="FILE", show_default="no page", help="Write a page that shows the runs side by side."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Compare runs: trained layers, cost, scores and differences.

    Differences from the first run are paired: on the same images, each with its 95 % interval.

    headstart compare runs/transfer runs/scratch --html compared.html
    """
    terminal = terminal_of(context)
    from pipelines.compare import compare as compare_runs

    rows = compare_runs(runs, speed=speed, html=html, reporter=terminal)
    if as_json:
        import json

        terminal.data(json.dumps([row.to_json() for row in rows], indent=2, allow_nan=False))
        return
    from app.pages.compare import compare_page

    terminal.page(compare_page(rows))
