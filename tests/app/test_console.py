"""The terminal: bars, lines, tables and verbosity, on a terminal and in a file."""

from __future__ import annotations

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

from app.console import Terminal, Verbosity
from app.pages.tables import table

ROOT = Path(__file__).resolve().parents[2]


def test_a_file_gets_the_beginning_and_the_lines_of_a_task_and_no_bar(capsys: pytest.CaptureFixture[str]) -> None:
    with Terminal().task("training", 3) as task:
        for epoch in range(3):
            task.advance(1, loss="0.5")
            task.line(f"epoch {epoch + 1}/3")
    out, err = capsys.readouterr()
    assert (out, err) == ("", "training: 3\nepoch 1/3\nepoch 2/3\nepoch 3/3\n")


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
    controller, terminal = pty.openpty()
    removed = ("NO_COLOR", "COLUMNS", "FORCE_COLOR")
    inherited = {name: value for name, value in os.environ.items() if name not in removed}
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(script)],
        stderr=terminal,
        cwd=ROOT,
        env=inherited | {"TERM": "xterm", "COLUMNS": "80"} | environment,
    )
    os.close(terminal)
    written = bytearray()
    while select.select([controller], [], [], 30)[0]:
        try:
            written += os.read(controller, 65536)
        except OSError:  # Linux: the other end is closed
            break
    os.close(controller)
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
    frames = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", frame) for frame in re.split(r"[\r\n]+", written)]
    assert max(cell_len(frame) for frame in frames) <= 80
    bar = next(frame for frame in frames if "1234/3068" in frame)
    assert "fine-tune" in bar and "loss 0.1234 accuracy 0.912 312 images/s" in bar
    assert [frame for frame in frames if frame.strip() == "epoch 1/8"]
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
    lines = [line.strip() for line in re.split(r"[\r\n]+", written)]
    assert " ".join(["warning:", *["seventeen"] * 7]) in lines
    assert path in lines
    assert f"error: {words}" in lines  # an error stays one line


def test_a_long_first_word_stays_beside_its_label() -> None:
    path = "/photos/" + "x" * 100
    written = on_terminal(f"""
        from app.console import Terminal

        Terminal().warn("{path} cannot be read")
    """)
    lines = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).splitlines()
    assert lines == [f"warning: {path}", "  cannot be read"]


def test_verbose_shows_details_and_the_time_of_a_task(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.detail("hidden")
    terminal.verbosity = Verbosity.VERBOSE
    terminal.detail("shown")
    with terminal.task("features", None):
        pass
    assert capsys.readouterr().err.splitlines() == ["shown", "features", "features: 0.0 s"]


def test_data_is_printed_as_it_is_even_when_quiet(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal()
    terminal.verbosity = Verbosity.QUIET
    terminal.data("a\tb [bold]c[/bold]")
    terminal.page("a table")
    assert capsys.readouterr().out == "a\tb [bold]c[/bold]\na table\n"


def test_no_bar_is_drawn_where_rows_go_to_the_terminal() -> None:
    script = BAR.replace("terminal = Terminal()", "terminal = Terminal()\n    terminal.allows_bars = False")
    lines = [re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", line) for line in on_terminal(script).splitlines()]
    assert lines == ["epoch 1/8", "warning: after the bar"]


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
    lines = on_terminal(BAR, TERM="dumb").splitlines()
    assert lines == ["fine-tune: 3,068", "epoch 1/8", "features", "warning: after the bar"]


def test_a_file_gets_a_line_now_and_then_from_a_task_without_lines(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 0.0
    monkeypatch.setattr("time.monotonic", lambda: now)
    with Terminal().task("features", 3000) as task:
        for _ in range(30):
            now += 1.0
            task.advance(100)
    lines = ["features: 3,000", "features: 1,000 of 3,000", "features: 2,000 of 3,000", "features: 3,000 of 3,000"]
    assert capsys.readouterr().err.splitlines() == lines


def test_threads_may_have_tasks_at_once_and_the_bars_end_with_the_last() -> None:
    written = on_terminal("""
        import threading, time
        from app.console import Terminal

        terminal = Terminal()

        def work(name):
            for _ in range(20):
                with terminal.task(name, None):
                    time.sleep(0.002)

        threads = [threading.Thread(target=work, args=(name,)) for name in ("loading", "checking")]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        terminal.note("after the bars")
    """)
    assert re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", written).splitlines()[-1] == "after the bars"
