"""Prints an ensemble: its members, their disagreement, its scores and its gain, in at most 80 columns."""

from __future__ import annotations

import shlex
import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.console import Terminal
from app.pages.report import training_page
from app.pages.tables import WIDTH, new_table, shortened
from pipelines.runs.leaderboard import Leaderboard, MemberRow
from pipelines.runs.report import Report

if TYPE_CHECKING:
    from pipelines.runs.examples import Split
    from pipelines.runs.manifest import Manifest

LISTED = 30
MATRIX = 12
NAME_WIDTH = 24


def show(terminal: Terminal, manifest: Manifest, out: str) -> None:
    """Print leaderboard, disagreement, scores, gain, and what comes next."""
    assert manifest.leaderboard is not None, "an ensemble has one"
    terminal.page(ensemble_page(manifest.leaderboard, manifest.metrics), stream="stderr")
    if manifest.data.skipped:
        terminal.warn(f"{manifest.data.skipped} files are not readable images and were left out")
    for note in manifest.notes:
        terminal.warn(note)
    terminal.note(f"the run is in `{out}`; next: headstart predict {shlex.quote(out)} IMAGE")


def ensemble_page(board: Leaderboard, reports: Mapping[Split, Report]) -> Group:
    """All of it, one below the other."""
    parts: list[RenderableType] = [leaderboard_table(board)]
    if len(board.members) > LISTED:
        parts.append(f"the {LISTED} of {len(board.members):,} with the most weight; all in `run.json`")
    parts += ["accuracy: on validation images, with its 95 % interval; ms: an image, here", ""]
    if 1 < len(board.names) <= MATRIX:
        parts += [disagreement_table(board), ""]
    elif len(board.names) > MATRIX:
        parts += [f"how {len(board.names)} members disagree: see `ensemble.png` in the run", ""]
    parts += [training_page(reports), ""]
    parts += [Text(line) for line in gain_lines(board)]
    return Group(*parts)


def leaderboard_table(board: Leaderboard) -> Table:
    """The members, best first; of very many those with a weight before the others."""
    rows = list(board.members)
    table = new_table(1)
    table.add_column("member", no_wrap=True)
    varying = [name for name in ("head", "seed", "fold") if len({getattr(row, name) for row in rows}) > 1]
    # Names of members show what varies; those of runs that were trained separately need not.
    is_in_name = all(str(getattr(row, name)) in row.name for row in rows for name in varying)
    columns = [] if is_in_name else varying
    for name in columns:
        table.add_column(name, no_wrap=True)
    for heading in ("accuracy", "log-loss", "weight", "ms", "MB"):
        table.add_column(heading, justify="right", no_wrap=True)
    if len(rows) > LISTED:
        rows = sorted(rows, key=lambda row: -row.weight)[:LISTED]
    for row in rows:
        table.add_row(
            Text(squeezed(row.name, NAME_WIDTH - (8 if columns else 0))),
            *(Text(shortened(_text(getattr(row, name)), 8)) for name in columns),
            _accuracy(row),
            f"{row.log_loss:.3f}",
            f"{row.weight:.3f}" if row.weight else "-",
            _short(row.ms),
            _short(row.mb),
        )
    return table


def disagreement_table(board: Leaderboard) -> Table:
    """Percentage of the validation images for which two members predict different classes."""
    table = new_table(1)
    table.add_column("disagree, %", no_wrap=True)
    for number in range(1, len(board.names) + 1):
        table.add_column(str(number), justify="right", no_wrap=True)
    for number, (name, row) in enumerate(zip(board.names, board.disagreement, strict=True)):
        cells = ["." if place == number else f"{100 * share:.0f}" for place, share in enumerate(row)]
        table.add_row(Text(f"{number + 1} {squeezed(name, NAME_WIDTH)}"), *cells)
    return table


def gain_lines(board: Leaderboard) -> list[str]:
    """The gain over the best member, in lines of at most 80 columns."""
    gain = board.gain
    part, images = gain.comparison.part, gain.comparison.images
    lines = textwrap.wrap(gain.line, WIDTH, subsequent_indent="  ")
    lines.append(f"  on {images:,} {part} images; best member on validation: {gain.best}")
    if part != "test":
        lines.append("  these images also chose the weights: the ensemble looks better than it is")
    if gain.recommended:
        high = gain.comparison.accuracy.interval[1]
        why = "the ensemble is clearly worse" if high < 0 else "the interval includes zero: the gain may be chance"
        lines.append(f"  {why}; use `{gain.recommended}` alone")
    for score, fold in board.folds.items():
        low, high = fold.interval
        lines.append(
            f"over folds: {score.replace('_', '-')} {fold.mean:.3f} +- {fold.deviation:.3f} "
            f"(95 % interval {low:.3f} .. {high:.3f})"
        )
    scaled = f", temperature {board.temperature:.2f}" if board.temperature else ""
    lines.append(f"combined by {board.method}{scaled}: {_short(board.ms)} ms an image, {_short(board.mb)} MB")
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [line]]


def squeezed(name: str, width: int) -> str:
    """A name in at most `width` cells, its middle left out: what tells members apart stands at the end."""
    end = width - 4 - width // 3
    return name if len(name) <= width else f"{shortened(name, width - end - 2, mark='')}..{name[-end:]}"


def _accuracy(row: MemberRow) -> str:
    low, high = row.accuracy_interval
    return f"{row.accuracy:.3f} ({low:.3f} .. {high:.3f})"


def _text(value: object) -> str:
    return "-" if value is None else str(value)


def _short(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
