"""`headstart demo`: everything once, offline, in two minutes."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def demo(
    context: typer.Context,
    *,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Folder for the demo's images, runs and export.")
    ] = "runs/demo",
    force: Annotated[bool, typer.Option("--force", help="Replace an earlier demo in --out.")] = False,
) -> None:
    """Train, judge, predict and export once, on handwritten digits: two minutes, no download.

    headstart demo
    """
    terminal = terminal_of(context)
    from pipelines.demo import demo as show

    found = show(out, force=force, reporter=terminal)

    from app.pages.demo import demo_page

    terminal.page(*demo_page(found))
