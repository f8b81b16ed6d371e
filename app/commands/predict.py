"""`headstart predict`: predicts the classes of images."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from app.options.ensemble import Tta
from app.options.everywhere import terminal_of
from models.errors import UserError, lookup
from pipelines.inference.prediction_rows import FORMATS
from pipelines.inference.prediction_rows import escape_formulas as with_escaped_formulas


def predict(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    paths: Annotated[
        list[str],
        typer.Argument(
            metavar="PATH...", help="Images, folders of images, .txt lists of paths; - reads a list from stdin."
        ),
    ],
    *,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=1_000_000, help="Number of classes per row.")] = 5,
    format_name: Annotated[
        str, typer.Option("--format", metavar="|".join(FORMATS), help="Format of the rows.")
    ] = "table",
    tta: Tta = None,
    members: Annotated[bool, typer.Option("--members", help="List the predictions of ensemble members too.")] = False,
    escape_formulas: Annotated[
        bool,
        typer.Option(
            "--escape-formulas",
            help="In CSV, put ' before paths and classes that a spreadsheet would run as formulas; without it they "
            "stay exact.",
        ),
    ] = False,
    out: Annotated[
        str | None, typer.Option("--out", metavar="FILE", show_default="stdout", help="File for the rows.")
    ] = None,
) -> None:
    """Predict the classes of images, one row per input.

    Rows are in the order of the inputs. If some inputs are unreadable, the others are predicted and the exit code is 1.

    headstart predict runs/photos holiday/ --format csv --out holiday.csv
    """
    terminal = terminal_of(context)
    terminal.allows_bars = out is not None or not sys.stdout.isatty()
    row_format = lookup(FORMATS, format_name, "format")
    if escape_formulas and format_name != "csv":
        raise UserError(f"--escape-formulas is for CSV, not for `{format_name}`", "add `--format csv`, or omit it")
    from pipelines.inference.write_rows import require_writable, write

    require_writable(row_format, out, is_terminal=sys.stdout.isatty())
    from pipelines.runs.read_manifest import read_manifest

    read_manifest(run)
    if tta is not None:
        from pipelines.inference.test_time import require_views

        require_views(tta)
    from pipelines.predict import predict as predict_paths

    class_names, rows = predict_paths(
        run, paths, top_k=top_k, tta=tta, members=members, stdin=sys.stdin.buffer, reporter=terminal
    )
    if escape_formulas:
        rows = with_escaped_formulas(rows)
    tally = write(rows, row_format, class_names=class_names, out=out, stdout=sys.stdout.buffer)
    if tally.unreadable:
        terminal.warn(f"{tally.unreadable:,} of {tally.rows:,} inputs are unreadable: see their rows")
        raise typer.Exit(1)
