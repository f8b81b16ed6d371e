"""`headstart report`: a run in, a page that shows it out."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def report(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run, single or an ensemble.")],
    *,
    out: Annotated[
        str | None,
        typer.Option("--out", "-o", metavar="FILE", show_default="report.html in the run", help="The page to write."),
    ] = None,
) -> None:
    """Write a page that shows a run and its mistakes.

    It has the verdict, the worst mistakes, the classes and the images. One HTML file, without a script or a request to
    anywhere; it opens in any browser and can be sent on.

    headstart report runs/photos
    """
    terminal = terminal_of(context)
    from pipelines.report import report as write_report

    page = write_report(run, out=out, reporter=terminal)
    terminal.data(str(page))
