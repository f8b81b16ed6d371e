"""Which streams get colours, and the colours of labels."""

from __future__ import annotations

import io

import pytest
from rich.color import Color
from rich.style import Style
from rich.text import Text

from app.colour import LABEL_CODES, Colour, coloured, is_live, wants_colour


class Tty(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(
    ("choice", "stream", "environment", "expected"),
    [
        ("auto", Tty(), {}, True),
        ("auto", io.StringIO(), {}, False),
        ("auto", Tty(), {"NO_COLOR": "1"}, False),
        ("auto", Tty(), {"NO_COLOR": ""}, True),
        ("auto", Tty(), {"TERM": "dumb"}, False),
        ("always", io.StringIO(), {"NO_COLOR": "1"}, True),
        ("never", Tty(), {}, False),
    ],
)
def test_colour(
    choice: Colour, stream: io.StringIO, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(choice, stream) is expected


@pytest.mark.parametrize(("terminal", "expected"), [("xterm", True), ("dumb", False), ("unknown", False), ("", True)])
def test_a_terminal_that_cannot_redraw_is_not_live(
    terminal: str, expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TERM", terminal)
    assert is_live(Tty()) is expected
    assert not is_live(io.StringIO())


@pytest.mark.parametrize(
    ("label", "colour", "is_bold"),
    [("error", "red", True), ("warning", "yellow", True), ("interrupted", "yellow", True), ("hint", "cyan", None)],
)
def test_a_label_has_the_colour_of_its_kind(label: str, colour: str, is_bold: bool | None) -> None:
    """rich reads the escape sequences; rich knows the number of a colour by its name."""
    text = Text.from_ansi(coloured(label))
    assert text.plain == f"{label}:"
    (span,) = text.spans
    assert isinstance(span.style, Style) and span.style.color is not None
    assert span.style.color.number == Color.parse(colour).number
    assert span.style.bold is is_bold


def test_every_label_has_a_colour() -> None:
    assert set(LABEL_CODES) == {"error", "hint", "warning", "interrupted"}
