"""`headstart predict`: predicts the classes of images."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from itertools import chain, islice
from typing import TYPE_CHECKING, Annotated

import typer

from app.options.completion import complete_row_format
from app.options.coverage import Coverage, PerClass
from app.options.ensemble import Tta
from app.options.everywhere import terminal_of
from models.errors import UserError, lookup
from pipelines.inference.prediction_rows import FORMATS
from pipelines.inference.prediction_rows import escape_formulas as with_escaped_formulas
from pipelines.system.text import counted

if TYPE_CHECKING:
    from app.console import Terminal
    from pipelines.inference.prediction import Prediction
    from pipelines.inference.write_rows import Tally

Paths = Annotated[
    list[str],
    typer.Argument(
        metavar="PATH...", help="Images, folders of images, .txt lists of paths; - reads a list from stdin."
    ),
]
Scores = Annotated[
    bool, typer.Option("--scores", help="Add the probability of every class, in CSV and Parquet one column each.")
]
FormatName = Annotated[
    str,
    typer.Option("--format", metavar="|".join(FORMATS), autocompletion=complete_row_format, help="Format of the rows."),
]
Cost = Annotated[
    str | None,
    typer.Option(
        "--cost",
        metavar="FILE",
        show_default="none",
        help="Answer with the class of least expected cost, by a CSV table: a line for each true class, a column for "
        "each answer.",
    ),
]
EscapeFormulas = Annotated[
    bool,
    typer.Option(
        "--escape-formulas",
        help="In CSV, put ' before paths and classes that a spreadsheet would run as formulas; without it they "
        "stay exact.",
    ),
]


def predict(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    paths: Paths,
    *,
    top_k: Annotated[int, typer.Option("--top-k", min=1, max=1_000_000, help="Number of classes per row.")] = 5,
    format_name: FormatName = "table",
    tta: Tta = None,
    members: Annotated[bool, typer.Option("--members", help="List the predictions of ensemble members too.")] = False,
    scores: Scores = False,
    coverage: Coverage = None,
    per_class: PerClass = False,
    cost: Cost = None,
    escape_formulas: EscapeFormulas = False,
    out: Annotated[
        str | None, typer.Option("--out", "-o", metavar="FILE", show_default="stdout", help="File for the rows.")
    ] = None,
) -> None:
    """Predict the classes of images, one row per input.

    Rows are in the order of the inputs. If some inputs are unreadable, the others are predicted and the exit code is 1.
    Files in folders that are not images are counted and get no row.

    headstart predict runs/photos holiday/ --format csv --out holiday.csv
    """
    terminal = terminal_of(context)
    row_format = lookup(FORMATS, format_name, "format")
    _refuse(format_name, escape_formulas=escape_formulas, scores=scores)
    from pipelines.inference.write_rows import require_writable, write

    require_writable(row_format, out, is_terminal=sys.stdout.isatty())
    from pipelines.runs.read_manifest import read_manifest

    manifest = read_manifest(run)
    from pipelines.inference.decisions import read_decisions

    decisions = read_decisions(run, manifest, coverage=coverage, is_by_class=per_class, costs=cost)
    _require_views(tta)
    from pipelines.predict import predict as predict_paths

    columns, rows = predict_paths(
        run,
        paths,
        top_k=top_k,
        tta=tta,
        members=members,
        scores=scores,
        decisions=decisions,
        stdin=sys.stdin.buffer,
        reporter=terminal,
    )
    if out is None and sys.stdout.isatty():
        rows = _bar_until_first(terminal, rows)
    if escape_formulas:
        rows = with_escaped_formulas(rows)
    tally = write(rows, row_format, columns=columns, out=out, stdout=sys.stdout.buffer)
    _report(terminal, tally)


def _require_views(tta: str | None) -> None:
    """Check the views that are asked for, before TensorFlow is loaded."""
    if tta is not None:
        from pipelines.inference.test_time import require_views

        require_views(tta)


def _refuse(format_name: str, *, escape_formulas: bool, scores: bool) -> None:
    """Refuse options that the format of the rows has no place for."""
    if escape_formulas and format_name != "csv":
        raise UserError(f"--escape-formulas is for CSV, not for `{format_name}`", "add `--format csv`, or omit it")
    if scores and format_name == "table":
        raise UserError("--scores has no place in the table", "add `--format csv`, `jsonl` or `parquet`")


def _bar_until_first(terminal: Terminal, rows: Iterator[Prediction]) -> Iterator[Prediction]:
    """The rows, of which the first is waited for under a bar; a bar would run through rows on the same terminal."""
    with terminal.task("predicting", None):
        terminal.allows_bars = False
        first = list(islice(rows, 1))
    return chain(first, rows)


def _report(terminal: Terminal, tally: Tally) -> None:
    """Say how many inputs have no prediction; unreadable images, and no image at all, are exit code 1."""
    if tally.others:
        verb = "is not an image and has" if tally.others == 1 else "are not images and have"
        terminal.note(f"{counted(tally.others, 'file')} in the folders {verb} no row")
    if tally.unreadable:
        verb, whose = ("is", "its row") if tally.unreadable == 1 else ("are", "their rows")
        inputs = counted(tally.rows, "input")
        terminal.warn(f"{tally.unreadable:,} of {inputs} {verb} unreadable: see {whose}")
    if not tally.rows:
        terminal.warn("there are no images among the inputs")
    if tally.unreadable or not tally.rows:
        raise typer.Exit(1)
