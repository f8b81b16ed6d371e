"""`headstart demo`: trains, evaluates, predicts and exports once, offline."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def demo(
    context: typer.Context,
    *,
    out: Annotated[
        str, typer.Option("--out", "-o", metavar="DIR", help="Folder for the demo's images, runs and export.")
    ] = "runs/demo",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier demo in --out.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Train, evaluate, predict and export once, offline.

    Learns letters from few images with and without a head start, in a minute and without a download.

    headstart demo
    """
    terminal = terminal_of(context)
    from pipelines.demo import demo as run_demo

    result = run_demo(out, force=force, reporter=terminal)
    if as_json:
        from app.pages.as_json import print_json

        print_json(terminal, result.to_json())
        return
    from app.pages.demo import demo_page

    terminal.page(*demo_page(result))
