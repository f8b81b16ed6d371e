"""`headstart audit`: labelled images in, what is wrong with them out."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Annotated

import typer

from app.options.everywhere import terminal_of

if TYPE_CHECKING:
    from app.console import Terminal
    from pipelines.audit_data import Written


Run = Annotated[
    str | None,
    typer.Option(
        "--run",
        metavar="RUN",
        show_default="none",
        help="A run trained on them: finds labels that are probably wrong, and outliers.",
    ),
]
Out = Annotated[
    str | None,
    typer.Option(
        "--out",
        "-o",
        metavar="DIR",
        show_default="none",
        help="Folder for `audit.csv` and `audit.html`, a page with the pictures.",
    ),
]
Fix = Annotated[
    str | None,
    typer.Option(
        "--fix",
        metavar="DIR",
        show_default="none",
        help="Folder for `data.csv`, a data set without what is probably wrong; no picture is touched.",
    ),
]
Corrections = Annotated[
    str | None,
    typer.Option(
        "--corrections",
        metavar="FILE",
        show_default="none",
        help="An `audit.csv` whose last column you filled in, with a class or `-` (leave out); --fix follows it alone.",
    ),
]


def audit(
    context: typer.Context,
    data: Annotated[str, typer.Argument(metavar="DATA", help="Labelled images, as for train.")],
    *,
    run: Run = None,
    out: Out = None,
    fix: Fix = None,
    corrections: Corrections = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print one JSON object.")] = False,
) -> None:
    """Look for what is wrong with the data, worst first.

    Files, copies, leaks between parts, classes, shortcuts that a network could take instead of looking; with a run,
    labels that are probably wrong and outliers. Findings are suspicions: nothing is changed.

    headstart audit photos/ --run runs/photos --out audits/photos
    """
    terminal = terminal_of(context)
    from pipelines.audit_data import AuditPlaces
    from pipelines.audit_data import audit as audit_data

    places = AuditPlaces(out=out, fix=fix, corrections=corrections)
    written = audit_data(data, run=run, places=places, reporter=terminal)
    if as_json:
        from app.pages.as_json import print_json

        print_json(terminal, written.to_json())
        return
    from app.pages.audit import audit_page

    terminal.page(audit_page(written.audit))
    _say_where(terminal, written)


def _say_where(terminal: Terminal, written: Written) -> None:
    """Say what was written where, or how to have it written."""
    from pipelines.system.text import counted

    if written.page is not None:
        terminal.note(f"page: `{written.page}`; all findings: `audit.csv` beside it")
    elif written.audit.findings:
        terminal.note("--out DIR writes all findings as `audit.csv`, and a page with their pictures")
    if (fixed := written.fixed) is not None:
        changes = f"{fixed.left_out:,} left out, {fixed.relabelled:,} with another class"
        terminal.note(f"`{fixed.path}` has {counted(fixed.images, 'image')}: {changes}")
        terminal.note(f"train on it: `headstart train {shlex.quote(fixed.path)}`")
