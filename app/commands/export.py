"""`headstart export`: a run for other programs."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.everywhere import terminal_of


def export(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    out: Annotated[
        str, typer.Option("--out", metavar="DIR", help="Where the export goes; a SavedModel gets DIR/<version>/.")
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format", metavar="savedmodel|keras", show_default="savedmodel", help="May be given several times."
        ),
    ] = None,
) -> None:
    """Export a run, load it again without headstart, and compare the two on real images.

    Exits with 3, leaving nothing behind, when they do not agree.

    headstart export runs/photos --out exported --format savedmodel
    """
    terminal = terminal_of(context)
    from pipelines.runs.read_manifest import read_manifest

    read_manifest(run)
    from pipelines.export import export as write

    done = write(run, out, formats=tuple(formats or ("savedmodel",)), reporter=terminal)

    from app.pages.export import export_page

    terminal.page(export_page(done), stream="stderr")
    for each in done:
        terminal.data(str(each.path))
