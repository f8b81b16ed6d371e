"""Draws `ensemble.png`: the members with their intervals, and their disagreement."""

from __future__ import annotations

from pathlib import Path

from pipelines.ensembles.methods import METHODS
from pipelines.runs.leaderboard import Leaderboard
from pipelines.system.files import atomic

PICTURE = "ensemble.png"
MOST = 40  # members that are drawn; of more, those with the most weight
MOST_NUMBERED = 16  # members whose shares are written into the matrix
INTERVALS_WIDTH, NAMES_WIDTH = 6.8, 2.8  # inches
INK, TAKEN, LEFT = "#333333", "#1f6fb2", "#b8b8b8"


def draw_ensemble(board: Leaderboard, path: Path) -> None:
    """Draw an ensemble's leaderboard and disagreement.

    Args:
        board: what is drawn.
        path: of the PNG file.
    """
    from matplotlib.figure import Figure

    rows = sorted(board.members, key=lambda row: -row.weight)[:MOST]
    rows.sort(key=lambda row: (row.accuracy, -row.log_loss))
    weights = [_weight_of(name, board) for name in board.names]
    places = sorted(range(len(board.names)), key=lambda place: -weights[place])[:MOST]
    places.sort()
    # The matrix has square cells: the page is as high as it is, and no wider than names, intervals and matrix need.
    is_numbered = len(places) <= MOST_NUMBERED
    side = len(places) * (0.6 if len(places) <= 6 else 0.42 if is_numbered else 0.24)
    widths = INTERVALS_WIDTH, NAMES_WIDTH + side + (0.0 if is_numbered else 0.8)
    height = 1.3 + max(side, 0.24 * len(rows), 1.2)
    figure = Figure(figsize=(sum(widths), height), layout="constrained")
    left, right = figure.subplots(1, 2, width_ratios=widths)

    has_weights = not METHODS[board.method].is_stacked  # a stack weighs each class of each member by itself
    for place, member in enumerate(rows):
        colour = TAKEN if member.weight else LEFT
        left.plot(member.accuracy_interval, (place, place), color=colour, linewidth=2)
        left.plot([member.accuracy], [place], "o", color=colour, markersize=5)
        if member.weight and has_weights:
            end = (member.accuracy_interval[1], place)
            weight = f" {member.weight:.2f}" if member.weight >= 0.005 else " <0.01"
            left.annotate(weight, end, va="center", fontsize=7, color=INK)
    left.set_yticks(range(len(rows)), [_plain(row.name) for row in rows], fontsize=8)
    legend = "; number: weight; grey: not taken" if has_weights else ""
    left.set_xlabel(f"validation accuracy, 95 % interval{legend}", fontsize=9)
    left.set_title(f"members, joined by {board.method}", fontsize=10)
    left.margins(x=0.1)
    left.set_ylim(-0.6, len(rows) - 0.4)
    left.grid(axis="x", color="#e4e4e4")
    left.set_axisbelow(True)

    matrix = [[100 * board.disagreement[one][other] for other in places] for one in places]
    shown = right.imshow(matrix, cmap="Blues", vmin=0)
    numbers = [str(place + 1) for place in places]
    names = [f"{_plain(board.names[place])}  {place + 1}" for place in places]
    right.set_yticks(range(len(places)), names, fontsize=8)
    right.set_xticks(range(len(places)), numbers, fontsize=8 if is_numbered else 6)
    right.set_title("validation images called differently, %", fontsize=10)
    if is_numbered:
        darkest = max(max(row) for row in matrix)
        for one, row in enumerate(matrix):
            for other, share in enumerate(row):
                if one != other:
                    ink = "white" if share > 0.6 * darkest else INK
                    right.text(other, one, f"{share:.0f}", ha="center", va="center", fontsize=8, color=ink)
    else:
        figure.colorbar(shown, ax=right, shrink=0.8)
    with atomic(path, suffix=".png") as temporary:
        figure.savefig(temporary, dpi=110)


def _weight_of(name: str, board: Leaderboard) -> float:
    """The weight of a member, or of the models of all folds of a group: `group-f0`, `group-f1` and so on."""
    return sum(row.weight for row in board.members if row.name == (name if row.fold is None else f"{name}-f{row.fold}"))


def _plain(name: str) -> str:
    """A name that matplotlib does not take for mathematics, of bearable length."""
    short = name if len(name) <= 32 else f"{name[:15]}..{name[-15:]}"
    return short.replace("$", r"\$")
