"""Plain tables, and names and numbers that fit their columns."""

from __future__ import annotations

import pytest
from rich.cells import cell_len
from rich.table import Table

from app.pages.tables import file_size, millions, new_table, scored, shortened, shortened_inside, table
from tests.app.pages.samples import printed


def with_row(drawn: Table, *cells: str) -> Table:
    drawn.add_row(*cells)
    return drawn


@pytest.mark.parametrize("width", [8, 9, 10])
def test_shortened_counts_cells_not_letters(width: int) -> None:
    assert cell_len(shortened("日本語の長い名前", width)) <= width
    assert shortened("short", width) == "short"


@pytest.mark.parametrize("width", [8, 9, 10, 24])
@pytest.mark.parametrize("name", ["日本語の長い名前のクラス" * 2, "e\u0301" * 30, "x" * 40, "new\nline" * 5])
def test_shortened_inside_fits_whatever_the_letters(name: str, width: int) -> None:
    cut = shortened_inside(name, width)
    assert width - 1 <= cell_len(cut) <= width  # a cell short where half a wide letter would have to go
    assert ".." in cut and "\n" not in cut


def test_shortened_inside_keeps_the_end() -> None:
    name = "a_backbone_of_a_rather_long_name_3-linear-s3"
    assert shortened_inside("short", 24) == "short"
    cut = shortened_inside(name, 24)
    assert len(cut) == 24
    assert cut.startswith("a_backbone") and cut.endswith("3-linear-s3")


def test_a_gap_is_the_number_of_blanks_less_one() -> None:
    for gap in (1, 2):
        drawn = with_row(new_table(("name", "count"), right=("count",), gap=gap), "cat", "7")
        assert printed(drawn)[0].rstrip() == "name" + " " * (gap + 1) + "count"
        assert printed(drawn)[2].rstrip() == "cat " + " " * (gap + 1) + "    7"


def test_headings_cells_and_captions_are_text_not_markup() -> None:
    lines = printed(with_row(new_table(("[b]name[/b]",), caption="[i]all[/i]"), "cat"))
    assert lines[0].strip() == "[b]name[/b]"
    assert lines[-1].strip() == "[i]all[/i]"
    (row,) = [line for line in printed(table(("name",), [("[red]x[/red]\n",)])) if "red" in line]
    assert row.strip() == r"[red]x[/red]\n"


def test_a_narrow_terminal_wraps_text_and_leaves_numbers_whole() -> None:
    lines = printed(table(("path", "images"), [("x" * 40, "1,234,567 of 9,999,999")], right=("images",)), width=30)
    assert any("1,234,567 of 9,999,999" in line for line in lines)
    assert "".join(line.split()[0] for line in lines[2:]) == "x" * 40


@pytest.mark.parametrize(
    ("size", "text"),
    [
        (0, "0 B"),
        (1, "1 B"),
        (999, "999 B"),
        (1000, "1.0 kB"),
        (16_384, "16.4 kB"),
        (1.25e9, "1.2 GB"),
        (3e12, "3.0 TB"),
    ],
)
def test_sizes_are_in_powers_of_a_thousand(size: float, text: str) -> None:
    assert file_size(size) == text


@pytest.mark.parametrize(
    ("count", "text"), [(61_706, "0.06 M"), (999_999, "1.0 M"), (138_357_544, "138.4 M"), (1_234_000_000, "1,234.0 M")]
)
def test_parameters_are_in_millions(count: int, text: str) -> None:
    assert millions(count) == text


def test_a_score_has_its_interval_in_brackets() -> None:
    assert scored(0.88449, (0.851, 0.9112)) == "0.884 (0.851 .. 0.911)"
    assert scored(0.5, None) == "0.500"
