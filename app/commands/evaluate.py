"""`headstart evaluate`: scores a run on labelled images."""

from __future__ import annotations

from typing import Annotated, cast

import typer

from app.options.coverage import Coverage, PerClass
from app.options.ensemble import Tta
from app.options.everywhere import terminal_of
from app.options.part import Split
from pipelines.runs.examples import Part


def evaluate(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as for train.")],
    *,
    split: Split = "auto",
    cache: Annotated[
        bool,
        typer.Option(
            "--cache/--no-cache", help="Use cached features; or run the saved model in float32, as predict does."
        ),
    ] = True,
    tta: Tta = None,
    coverage: Coverage = None,
    per_class: PerClass = False,
    out: Annotated[
        str | None,
        typer.Option(
            "--out",
            "-o",
            metavar="DIR",
            show_default="no pictures",
            help="Folder for confusion.png, classes.png and mistakes.png.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Evaluate a run on labelled images.

    headstart evaluate runs/photos photos/
    """
    terminal = terminal_of(context)
    from pipelines.evaluate import evaluate as evaluate_run

    evaluation = evaluate_run(
        run,
        data,
        split=cast(Part, split),
        cache=cache,
        tta=tta,
        coverage=coverage,
        is_by_class=per_class,
        out=out,
        reporter=terminal,
    )
    if as_json:
        import json

        terminal.data(json.dumps(evaluation.to_json(), ensure_ascii=True, allow_nan=False))
        return
    from app.pages.report import evaluation_page, skipped_line

    terminal.page(evaluation_page(evaluation.report))
    if evaluation.coverage is not None:
        from app.pages.coverage import coverage_page

        terminal.page(coverage_page(evaluation.coverage))
    if evaluation.skipped:
        terminal.warn(skipped_line(evaluation.skipped))
