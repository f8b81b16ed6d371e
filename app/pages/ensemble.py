"""Prints an ensemble: its members, their disagreement, its scores, its gain over the best member, and each class."""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from app.console import Terminal
from app.pages.as_json import print_run
from app.pages.report import next_lines, skipped_line, training_page
from app.pages.tables import WIDTH, new_table, scored, shortened, shortened_inside
from app.pages.training_end import class_scores, few_images_warning, fitted_on_validation
from models.errors import UserError
from pipelines.ensembles.methods import METHODS
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, Spread
from pipelines.runs.report import Report
from pipelines.system.text import counted

if TYPE_CHECKING:
    from pipelines.runs.examples import Split
    from pipelines.runs.manifest import Manifest

LISTED_MEMBERS = 30
MATRIX_MEMBERS = 12  # more columns than this do not fit
NAME_WIDTH, COLUMN_WIDTH = 24, 8


def show(terminal: Terminal, manifest: Manifest, out: str, *, as_json: bool = False) -> None:
    """Print the page of an ensemble, what its training had to warn of, and what comes next.

    Args:
        terminal: where it goes.
        manifest: of the ensemble.
        out: its folder, as the user named it.
        as_json: whether its record goes to stdout.

    Raises:
        UserError: after all that, where members could not be trained.
    """
    assert manifest.leaderboard is not None, "an ensemble has one"
    terminal.page(ensemble_page(manifest.leaderboard, manifest.metrics), "", class_scores(manifest), stream="stderr")
    limit = manifest.spec.ensemble.max_latency if manifest.spec.ensemble else None
    if limit is not None and manifest.leaderboard.chosen_ms is not None:
        terminal.note(limit_line(manifest.leaderboard.chosen_ms, limit))
    if manifest.data.skipped:
        terminal.warn(skipped_line(manifest.data.skipped))
    for note in manifest.notes:
        terminal.warn(note)
    if warning := few_images_warning(manifest):
        terminal.warn(warning)
    for line in next_lines(out):
        terminal.note(line)
    if as_json:
        print_run(terminal, out)
    if manifest.missing:
        raise missing_members(manifest, out)


def missing_members(manifest: Manifest, out: str) -> UserError:
    """The error that ends a training of which members are missing: the ensemble of the others is complete.

    Args:
        manifest: of the ensemble.
        out: its folder, as the user named it.
    """
    count = len(manifest.missing)
    name, reason = next(iter(manifest.missing.items()))
    return UserError(
        f"{counted(count, 'member')} {'is' if count == 1 else 'are'} missing from the ensemble"
        f"{':' if count == 1 else '; the first,'} `{name}`: {reason}",
        f"`{out}` combines the others; remove the cause, and train all again with --force",
    )


def ensemble_page(board: Leaderboard, reports: Mapping[Split, Report]) -> Group:
    """Members, disagreement, scores and gain, one below the other."""
    num_members, num_names = len(board.members), len(board.names)
    parts: list[RenderableType] = [leaderboard_table(board)]
    if num_members > LISTED_MEMBERS:
        most = "that are best alone" if METHODS[board.method].is_stacked else "with the most weight"
        parts.append(f"the {LISTED_MEMBERS} of {num_members:,} members {most}; all in `run.json`")
    parts += ["accuracy: on validation images, 95 % interval; ms: median per image, here", ""]
    if 1 < num_names <= MATRIX_MEMBERS:
        parts += [disagreement_table(board), ""]
    elif num_names > MATRIX_MEMBERS:
        parts += [f"disagreement of the {num_names} members: see `ensemble.png` in the run", ""]
    parts += [training_page(reports), ""]
    parts += [Text(line) for line in gain_lines(board)]
    return Group(*parts)


def limit_line(chosen_ms: Spread, limit: float) -> str:
    """How near to `limit`, ms per image, the members are that were chosen for it."""
    low, high = (_three_digits(end) for end in chosen_ms.quartiles)
    line = (
        f"--max-latency {limit:g}: the chosen members take {_three_digits(chosen_ms.median)} ms together "
        f"(quartiles {low} .. {high})"
    )
    if chosen_ms.quartiles[1] > limit:
        return f"{line}; the limit lies within the spread: another measurement may choose otherwise"
    return f"{line}, {100 * (1 - chosen_ms.median / limit):.0f} % below it"


def leaderboard_table(board: Leaderboard) -> Table:
    """The members, best first; of more than `LISTED_MEMBERS` those with the most weight."""
    rows = list(board.members)
    varying = [name for name in ("head", "seed", "fold") if len({getattr(row, name) for row in rows}) > 1]
    # Names of members show what varies; those of runs that were trained separately need not.
    is_in_name = all(str(getattr(row, name)) in row.name for row in rows for name in varying)
    columns = [] if is_in_name else varying
    # A stack weighs each class of each member by itself.
    weight = () if METHODS[board.method].is_stacked else ("weight",)
    numbers = ("accuracy", "log-loss", *weight, "ms", "MB")
    table = new_table(("member", *columns, *numbers), right=numbers, gap=1)
    if len(rows) > LISTED_MEMBERS:
        rows = sorted(rows, key=lambda row: -row.weight)[:LISTED_MEMBERS]
    for row in rows:
        table.add_row(
            Text(shortened_inside(row.name, NAME_WIDTH - (COLUMN_WIDTH if columns else 0))),
            *(Text(_cell(getattr(row, name))) for name in columns),
            scored(row.accuracy, row.accuracy_interval),
            f"{row.log_loss:.3f}",
            *([f"{row.weight:.3f}" if row.weight else "-"] if weight else []),
            _three_digits(row.ms),
            _three_digits(row.mb),
        )
    return table


def disagreement_table(board: Leaderboard) -> Table:
    """Per cent of the validation images for which two members predict different classes."""
    numbers = [str(number) for number in range(1, len(board.names) + 1)]
    table = new_table(["disagree, %", *numbers], right=numbers, gap=1)
    for place, (name, row) in enumerate(zip(board.names, board.disagreement, strict=True)):
        cells = ["." if column == place else f"{100 * share:.0f}" for column, share in enumerate(row)]
        table.add_row(Text(f"{numbers[place]} {shortened_inside(name, NAME_WIDTH)}"), *cells)
    return table


def gain_lines(board: Leaderboard) -> list[str]:
    """The gain over the best member, in lines of at most 80 columns."""
    # Runs of before 2026-11-24 have a gain of one group over itself.
    lines = _compared_lines(board, board.gain) if board.gain and len(board.names) > 1 else _alone_lines(board)
    if fitted := fitted_on_validation(board):
        lines.append(f"  {fitted} on validation images: the validation figures look better than they are")
    for score, fold in board.folds.items():
        low, high = fold.interval
        lines.append(
            f"over folds: {score.replace('_', '-')} {fold.mean:.3f} +- {fold.deviation:.3f} "
            f"(95 % interval {low:.3f} .. {high:.3f})"
        )
    scaling = f", temperature {board.temperature:.2f}" if board.temperature else ""
    quartiles = ""
    if board.ms_quartiles is not None:
        first, third = (_three_digits(end) for end in board.ms_quartiles)
        quartiles = f" (quartiles {first} .. {third})"
    cost = f"{_three_digits(board.ms)} ms per image{quartiles}, {_three_digits(board.mb)} MB"
    lines.append(f"combined by {board.method}{scaling}: {cost}")
    return [part for line in lines for part in textwrap.wrap(line, WIDTH, subsequent_indent="    ") or [line]]


def _compared_lines(board: Leaderboard, gain: EnsembleGain) -> list[str]:
    part, images = gain.comparison.part, gain.comparison.images
    lines = textwrap.wrap(gain.line, WIDTH, subsequent_indent="  ")
    lines.append(f"  on {images:,} {part} images; best member on validation: {gain.best}")
    if gain.recommended:
        high = gain.comparison.accuracy.interval[1]
        reason = "the ensemble is clearly worse" if high < 0 else "the interval includes zero: the gain may be chance"
        lines.append(f"  {reason}; {_instead(board, gain.recommended)}")
    return lines


def _instead(board: Leaderboard, name: str) -> str:
    """What to use instead of the ensemble: a member, or the models of a group of folds, which are no run together."""
    if name in {row.name for row in board.members}:
        return f"use `{name}` alone"
    models = len({row.fold for row in board.members})
    return f"train the {counted(models, 'model')} of `{name}` alone"


def _alone_lines(board: Leaderboard) -> list[str]:
    """Instead of a comparison: the models of all folds together are the ensemble, and there is nothing beside it."""
    if len(board.members) == 1:
        return [f"`{board.names[0]}` is the only member: nothing to compare it with"]
    models = counted(len(board.members), "model")
    return [f"mean of the {models} of `{board.names[0]}`: no other member to compare it with"]


def _cell(value: object) -> str:
    return "-" if value is None else shortened(str(value), COLUMN_WIDTH)


def _three_digits(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.3g}"
