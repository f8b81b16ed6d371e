"""Prints what an audit found: a row for each kind of finding, the worst first, and what to do about it."""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.text import Text

from app.pages.tables import new_table, remark, shortened_inside
from pipelines.audit.findings import Audit, Finding, ShortcutTest
from pipelines.audit.kinds import KINDS
from pipelines.system.text import counted, one_line

EXAMPLE_WIDTH = 19


def audit_page(audit: Audit) -> Group:
    """The page of `audit`.

    Args:
        audit: what was found.
    """
    images = counted(sum(audit.class_counts.values()), "image")
    classes = counted(len(audit.class_counts), "class", "classes")
    if not audit.findings:
        parts: list[RenderableType] = [Text(f"nothing found in {images} of {classes}")]
    else:
        parts = [_table(audit), remark(f"in {images} of {classes}; findings are suspicions: look before you remove")]
        parts += [Text(line) for line in _suggestions(audit)]
    if audit.shortcut is not None:
        parts += ["", *(Text(line) for line in _shortcut_lines(audit.shortcut))]
    parts += [Text(f"note: {one_line(note)}") for note in audit.notes]
    return Group(*parts)


def _table(audit: Audit) -> RenderableType:
    table = new_table(("severity", "finding", "found", "such as"), right=("found",), gap=1)
    for kind, findings in audit.by_kind().items():
        table.add_row(findings[0].severity, KINDS[kind].title, f"{len(findings):,}", Text(_example(findings)))
    return table


def _example(findings: Sequence[Finding]) -> str:
    worst = findings[0]
    if not worst.path:
        return shortened_inside(worst.label, EXAMPLE_WIDTH) if worst.label else "see below"
    return shortened_inside(os.path.basename(worst.path), EXAMPLE_WIDTH)


def _suggestions(audit: Audit) -> list[str]:
    """What to do about each kind, in lines of their own: a table of 80 columns has no room for it."""
    return ["", *(f"{KINDS[kind].title}: {KINDS[kind].suggestion}" for kind in audit.by_kind())]


def _shortcut_lines(test: ShortcutTest) -> list[str]:
    low, high = (100 * bound for bound in test.interval)
    strength = "a" if test.is_strong else "a weak" if test.is_claimed else "no"
    told = [
        f"{strength} shortcut: size, format, camera, colours and numbering alone tell",
        f"  {100 * test.accuracy:.0f} % ({low:.0f} .. {high:.0f}), by chance {100 * test.chance:.0f} %",
    ]
    carriers = [
        f"  {share.trait} alone tells {100 * share.alone:.0f} %; without it {100 * share.drop:.0f} points are lost"
        for share in test.traits
    ]
    return told + carriers
