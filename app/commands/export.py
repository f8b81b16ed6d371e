"""`headstart export`: writes a run for other programs, and verifies what it wrote."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.completion import complete_export_format
from app.options.everywhere import terminal_of
from models.export import EXPORTERS

DEFAULT_FORMAT = "savedmodel"


def export(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    *,
    out: Annotated[
        str,
        typer.Option("--out", "-o", metavar="DIR", help="Folder for the export; a SavedModel goes to DIR/<version>/."),
    ],
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            autocompletion=complete_export_format,
            metavar="|".join(EXPORTERS),
            show_default=DEFAULT_FORMAT,
            help="Format of the export; may be given several times.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print a list of objects.")] = False,
) -> None:
    """Export a run for use without headstart.

    The export is loaded in a process without headstart and compared with the run on real images. Where they disagree,
    nothing is written and the exit code is 3.

    headstart export runs/photos --out exported --format savedmodel
    """
    terminal = terminal_of(context)
    from pipelines.runs.read_manifest import read_manifest

    manifest = read_manifest(run)
    from pipelines.export import export as export_run

    exports = export_run(run, out, formats=tuple(formats or [DEFAULT_FORMAT]), reporter=terminal)
    from app.pages.export import export_page, usage_lines

    terminal.page(export_page(exports), *usage_lines(exports, run, manifest.image_size), stream="stderr")
    if as_json:
        from app.pages.as_json import print_json

        print_json(terminal, [exported.to_json() for exported in exports])
        return
    for exported in exports:
        terminal.data(str(exported.path))
