"""The picture shows members with their intervals and weights, and how often two of them disagree."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from matplotlib.axes import Axes
from matplotlib.colors import to_hex
from matplotlib.figure import Figure
from PIL import Image

from pipelines.ensembles.picture import draw_ensemble
from pipelines.runs.leaderboard import EnsembleGain, Leaderboard, MemberRow
from pipelines.runs.report import Comparison, ModelComparison

GREY = "#b8b8b8"


def row(name: str, accuracy: float, weight: float) -> MemberRow:
    return MemberRow(
        name=name,
        path=name,
        backbone="net",
        head="linear",
        seed=0,
        fold=None,
        weight=weight,
        images=100,
        accuracy=accuracy,
        accuracy_interval=(accuracy - 0.05, accuracy + 0.03),
        log_loss=0.5,
        ms=1.0,
        mb=1.0,
    )


def board(rows: list[MemberRow], disagreement: np.ndarray) -> Leaderboard:
    """A leaderboard of rows, the best first; names are in the order given."""
    common: dict[str, Any] = {"first": "ensemble", "second": "a", "part": "test", "images": 9, "interval": (-0.1, 0.1)}
    comparison = ModelComparison(
        accuracy=Comparison(score="accuracy", means=(0.9, 0.9), value=0.0, **common),
        log_loss=Comparison(score="log_loss", means=(0.3, 0.3), value=0.0, **common),
    )
    return Leaderboard(
        method="greedy",
        temperature=None,
        members=tuple(sorted(rows, key=lambda row: -row.accuracy)),
        names=tuple(row.name for row in rows),
        disagreement=tuple(tuple(line) for line in disagreement.tolist()),
        gain=EnsembleGain(comparison=comparison, ms=2.0, best_ms=1.0),
        folds={},
        ms=2.0,
        mb=2.0,
    )


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Figure]:
    """The figures that are saved; they are not rendered."""
    figures: list[Figure] = []
    monkeypatch.setattr(Figure, "savefig", lambda figure, path, **_: figures.append(figure))
    return figures


def panels(drawn: list[Figure]) -> tuple[Axes, Axes]:
    (figure,) = drawn
    return figure.axes[0], figure.axes[1]


def labels(axes: Axes) -> list[str]:
    return [label.get_text() for label in axes.get_yticklabels()]


THREE = [row("a", 0.7, 0.0), row("b", 0.9, 0.75), row("c", 0.8, 0.001)]
SHARES = np.array([[0, 0.12, 0.34], [0.12, 0, 0.56], [0.34, 0.56, 0]])


def test_the_file_is_a_picture_and_nothing_lies_beside_it(tmp_path: Path) -> None:
    path = tmp_path / "ensemble.png"
    draw_ensemble(board([*THREE[:2], row("costs $5^{ of $9", 0.8, 0.25)], SHARES), path)
    with Image.open(path) as picture:
        assert picture.format == "PNG"
        assert picture.width > picture.height > 100
        assert len(np.unique(np.asarray(picture.convert("L")))) > 10
    assert list(tmp_path.iterdir()) == [path]


def test_the_best_member_is_at_the_top_and_one_that_was_not_taken_is_grey(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_ensemble(board(THREE, SHARES), tmp_path / "ensemble.png")
    left, _ = panels(drawn)
    assert labels(left) == ["a", "c", "b"]
    intervals = [line for line in left.lines if len(np.asarray(line.get_xdata())) == 2]
    ends = np.array([line.get_xdata() for line in intervals], float)
    np.testing.assert_allclose(ends, np.array([[0.65, 0.73], [0.75, 0.83], [0.85, 0.93]]))
    assert [list(np.asarray(line.get_ydata())) for line in intervals] == [[0, 0], [1, 1], [2, 2]]
    assert [to_hex(line.get_color()) == GREY for line in intervals] == [True, False, False]
    assert [text.get_text().strip() for text in left.texts] == ["<0.01", "0.75"]


def test_disagreement_is_in_per_cent_of_the_named_members(tmp_path: Path, drawn: list[Figure]) -> None:
    draw_ensemble(board(THREE, SHARES), tmp_path / "ensemble.png")
    _, right = panels(drawn)
    assert labels(right) == ["a  1", "b  2", "c  3"]
    np.testing.assert_allclose(np.asarray(right.images[0].get_array()), 100 * SHARES)
    numbers = {(text.get_position()[1], text.get_position()[0]): text.get_text() for text in right.texts}
    assert numbers == {(0, 1): "12", (1, 0): "12", (0, 2): "34", (2, 0): "34", (1, 2): "56", (2, 1): "56"}


def test_of_more_than_forty_members_those_with_the_most_weight_are_drawn(tmp_path: Path, drawn: list[Figure]) -> None:
    rows = [row(f"m{place}", 0.5 + place / 1000, 0.1 if place >= 50 else 0.0) for place in range(60)]
    shares = np.abs(np.subtract.outer(np.arange(60), np.arange(60))) / 100
    draw_ensemble(board(rows, shares), tmp_path / "ensemble.png")
    left, right = panels(drawn)
    heaviest = {f"m{place}" for place in range(50, 60)}
    for axes in (left, right):
        names = [label.split()[0] for label in labels(axes)]
        assert len(names) == 40
        assert heaviest < set(names)
    # In the order of the leaderboard's names, and with their own shares.
    places = [int(label.split()[0][1:]) for label in labels(right)]
    assert places == sorted(places)
    np.testing.assert_allclose(np.asarray(right.images[0].get_array()), 100 * shares[np.ix_(places, places)])


def test_of_more_than_forty_groups_of_folds_those_with_the_most_weight_are_drawn(
    tmp_path: Path, drawn: list[Figure]
) -> None:
    groups = [f"m{number}" for number in range(60)]
    rows = [
        replace(row(f"{group}-f{fold}", 0.5, 0.05 if number >= 50 else 0.0), fold=fold)
        for number, group in enumerate(groups)
        for fold in range(2)
    ]
    shares = np.abs(np.subtract.outer(np.arange(60), np.arange(60))) / 100
    folded = replace(board(rows, np.zeros((120, 120))), names=tuple(groups), disagreement=tuple(map(tuple, shares)))
    draw_ensemble(folded, tmp_path / "ensemble.png")
    names = [label.split()[0] for label in labels(panels(drawn)[1])]
    assert len(names) == 40
    assert set(groups[50:]) < set(names)


def test_a_long_name_keeps_its_ends(tmp_path: Path, drawn: list[Figure]) -> None:
    name = "efficientnet_with_a_long_story_to_it_seed_12"
    draw_ensemble(board([row(name, 0.7, 1.0), *THREE[1:]], SHARES), tmp_path / "ensemble.png")
    (label,) = [label for label in labels(panels(drawn)[0]) if label not in {"b", "c"}]
    assert len(label) <= 32
    assert label.startswith("efficientnet")
    assert label.endswith("seed_12")


@pytest.mark.parametrize("count", [2, 3, 6, 12, 40])
def test_the_page_is_as_large_as_its_members_need(count: int, tmp_path: Path) -> None:
    rows = [row(f"mobilenet_v2-linear-s{place}", 0.7, 1 / count) for place in range(count)]
    shares = np.abs(np.subtract.outer(np.arange(count), np.arange(count))) / 100
    path = tmp_path / "ensemble.png"
    draw_ensemble(board(rows, shares), path)
    with Image.open(path) as picture:
        ink = np.asarray(picture.convert("L")) < 250
    # No eighth of the page, from left to right or from top to bottom, is empty.
    for axis in (0, 1):
        parts = np.array_split(ink.any(axis=axis), 8)
        assert all(part.any() for part in parts), (count, axis)


def test_a_stack_has_no_weights(drawn: list[Figure], tmp_path: Path) -> None:
    stack = replace(board([row("one", 0.8, 0.5), row("two", 0.7, 0.5)], np.zeros((2, 2))), method="stack")
    draw_ensemble(stack, tmp_path / "ensemble.png")
    members, _ = panels(drawn)
    assert not members.texts
    assert "weight" not in members.get_xlabel()
