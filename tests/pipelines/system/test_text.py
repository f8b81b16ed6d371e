"""Text for a terminal: one line whatever a file is called, and as wide as the terminal draws it."""

from __future__ import annotations

import os
import subprocess
import sys
import unicodedata
from pathlib import Path

import pytest
from rich.cells import cell_len

from pipelines.system.text import as_utf8, counted, name_list, one_line, padded

ROOT = Path(__file__).resolve().parents[3]


def test_one_line() -> None:
    assert one_line(os.fsdecode(b"\xff\na")) == r"\xff\na"
    assert one_line("a\tb\u202ec\x7f\udcff") == "a\\tb\\u202ec\\x7f\\xff"


@pytest.mark.parametrize(
    "text",
    [
        "plain.jpg",
        "café 日本.jpg",
        "back\\slash",
        "no\u00a0break",
        "\U0001f469\u200d\U0001f52c.jpg",
        "cafe\u0301",
        "%s",
    ],
)
def test_what_a_terminal_shows_on_one_line_stays(text: str) -> None:
    assert one_line(text) == text


def test_every_character_becomes_encodable_and_neither_breaks_a_line_nor_controls_a_terminal() -> None:
    for number in range(sys.maxunicode + 1):
        line = one_line(chr(number))
        line.encode("utf-8")
        assert line.splitlines() == [line]
        assert not any(unicodedata.category(character) == "Cc" for character in line)


def test_paths_are_taken_as_they_are(tmp_path: Path) -> None:
    assert one_line(tmp_path / "a\nb") == f"{tmp_path}/a\\nb"


def test_names_beyond_the_limit_are_counted() -> None:
    assert name_list([]) == ""
    assert name_list(["a", "b\n"]) == r"`a`, `b\n`"
    assert name_list(["a", "b"], 2) == "`a`, `b`"
    assert name_list((str(number) for number in range(2_005)), 2) == "`0`, `1` and 2,003 more"
    assert name_list(["a", "b"], sign="+") == "+`a`, +`b`"


def test_numbers_take_the_singular_or_the_plural() -> None:
    assert [counted(count, "image") for count in (0, 1, 2_000)] == ["0 images", "1 image", "2,000 images"]
    assert [counted(count, "class", "classes") for count in (1, 2)] == ["1 class", "2 classes"]


def test_bytes_that_are_not_utf8_are_spelt_out_and_the_rest_stays() -> None:
    assert as_utf8(os.fsdecode(b"caf\xc3\xa9\n\xff\x80")) == "café\n\\xff\\x80"


@pytest.mark.parametrize("text", ["label", "日本", "cafe\u0301", "", "\U0001f469\u200d\U0001f52c"])
def test_padding_counts_terminal_cells(text: str) -> None:
    line = padded(text, 9)
    assert cell_len(line) == 9
    assert line.rstrip(" ") == text
    assert padded("日本語", 3) == "日本語"


def test_text_needs_no_rich() -> None:
    code = "import sys, pipelines.system.text as text; text.one_line('a\\n'); assert 'rich' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True, cwd=ROOT)
