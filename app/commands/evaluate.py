"""`headstart evaluate`: what a run is worth on labelled images."""

from __future__ import annotations

from typing import Annotated

import typer

from app.options.ensemble import Tta
from app.options.everywhere import terminal_of
from pipelines.evaluate import Part


def evaluate(
    context: typer.Context,
    run: Annotated[str, typer.Argument(metavar="RUN", help="Folder of a run.")],
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as for train.")],
    *,
    split: Annotated[
        Part,
        typer.Option(
            "--split",
            help="Which part; auto: the test part, or of undivided data what the run was not trained or chosen on.",
        ),
    ] = "auto",
    cache: Annotated[
        bool,
        typer.Option("--cache/--no-cache", help="Use cached features, or the saved model in float32, as predict does."),
    ] = True,
    tta: Tta = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Judge a run on labelled images.

    headstart evaluate runs/photos photos/
    """
    terminal = terminal_of(context)
    from pipelines.evaluate import evaluate as judge

    found = judge(run, data, split=split, cache=cache, tta=tta, reporter=terminal)
    if as_json:
        import json

        terminal.data(json.dumps(found.to_json(), ensure_ascii=True, allow_nan=False))
        return

    from app.pages.report import evaluation_page

    terminal.page(evaluation_page(found.report))
    if found.skipped:
        terminal.warn(f"{found.skipped} files are no readable image and were left out")
