"""The terminal: colours, bars and lines, as they arrive on a terminal and in a file."""

from __future__ import annotations

import io
import os
import pty
import re
import select
import subprocess
import sys
import textwrap
from pathlib import Path

import pytest
from rich.cells import cell_len

from app.colour import wants_colour
from app.console import Terminal, Verbosity
from app.pages.tables import table

ROOT = Path(__file__).resolve().parents[2]


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
    choice: str, stream: io.StringIO, environment: dict[str, str], expected: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TERM", "xterm")
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    assert wants_colour(choice, stream) is expected  # type: ignore[arg-type]


def test_a_file_gets_the_lines_of_a_task_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().task("training", 3) as task:
        for epoch in range(3):
            task.advance(1, loss="0.5")
            task.line(f"epoch {epoch + 1}/3")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "epoch 1/3\nepoch 2/3\nepoch 3/3\n")


def test_quiet_leaves_warnings_and_errors(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.verbosity = Verbosity.QUIET
    with terminal.task("training", 1) as task:
        task.line("epoch 1/1")
    terminal.note("done")
    terminal.page("a summary", stream="stderr")
    terminal.warn("two files were left out")
    assert capsys.readouterr().err == "warning: two files were left out\n"


def test_a_table_in_a_file_is_not_cut(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 200
    Terminal().page(table(["path", "images"], [[long, 3], ["line\nbreak", 12]], right=["images"]))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 4  # heading, rule, two rows: a break within a cell is escaped
    assert long in lines[2] and lines[2].rstrip().endswith(" 3")
    assert r"line\nbreak" in lines[3]


def on_terminal(script: str, **environment: str) -> str:
    """What `script` writes to stderr where that is a terminal of 80 columns."""
    ours, theirs = pty.openpty()
    kept = {name: value for name, value in os.environ.items() if name not in ("NO_COLOR", "COLUMNS", "FORCE_COLOR")}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stderr=theirs,
        cwd=ROOT,
        env=kept | {"TERM": "xterm", "COLUMNS": "80"} | environment,
    )
    os.close(theirs)
    written = bytearray()
    while select.select([ours], [], [], 30)[0]:
        try:
            written += os.read(ours, 65536)
        except OSError:  # Linux: the other end is closed
            break
    os.close(ours)
    assert process.wait() == 0
    return written.decode()


BAR = """
    import time
    from app.console import Terminal

    terminal = Terminal()
    with terminal.task("fine-tune", 3068) as task:
        task.advance(1234, loss="0.1234", accuracy="0.912", rate="312 images/s")
        task.line("epoch 1/8")
        time.sleep(0.15)
        with terminal.task("features", None) as inner:
            inner.advance(7)
            time.sleep(0.15)
    terminal.warn("after the bar")
"""


def test_a_bar_fits_80_columns_and_leaves_only_lines_behind() -> None:
    written = on_terminal(BAR)
    frames = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", each) for each in re.split(r"[\r\n]+", written)]
    assert max(cell_len(each) for each in frames) <= 80
    (bar, *_) = [each for each in frames if "1234/3068" in each]
    assert "fine-tune" in bar and "loss 0.1234 accuracy 0.912 312 images/s" in bar
    assert [each for each in frames if each.strip() == "epoch 1/8"]
    assert "warning:" in written.splitlines()[-1]


@pytest.mark.parametrize("bar", [False, True])
def test_a_long_line_is_broken_between_words_on_a_terminal_alone(bar: bool) -> None:
    words, path = " ".join(["seventeen"] * 20), "/photos/" + "x" * 100
    script = f"""
        from contextlib import nullcontext
        from app.console import Terminal

        terminal = Terminal()
        with terminal.task("features", 3) if {bar} else nullcontext():
            terminal.warn({words!r} + " {path}")
            terminal.error({words!r})
    """
    written = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", on_terminal(script))
    lines = [each.strip() for each in re.split(r"[\r\n]+", written)]
    assert " ".join(["warning:", *["seventeen"] * 7]) in lines
    assert path in lines
    assert f"error: {words}" in lines  # an error stays one line


def test_a_long_line_in_a_file_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    words = " ".join(["seventeen"] * 20)
    Terminal().note(words)
    assert capsys.readouterr().err == f"{words}\n"


def test_stdout_goes_past_a_bar(tmp_path: Path) -> None:
    written = on_terminal(f"""
        import sys
        from app.console import Terminal

        sys.stdout = open({str(tmp_path / "rows")!r}, "w")
        with Terminal().task("predict", 2):
            print("a row")
    """)
    assert (tmp_path / "rows").read_text() == "a row\n"
    assert "a row" not in written


def test_a_dumb_terminal_gets_lines() -> None:
    assert on_terminal(BAR, TERM="dumb").splitlines() == ["epoch 1/8", "warning: after the bar"]
