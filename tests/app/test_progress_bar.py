"""Tasks with a bar and without: what they print, and what stands beside the bar."""

from __future__ import annotations

import io

from rich.console import Console

from app.progress_bar import BarTask, LineTask, new_progress


def test_without_a_bar_passing_lines_are_printed_too() -> None:
    lines: list[str] = []
    task = LineTask(lines.append)
    task.advance(3, loss="0.5")
    task.line("epoch 1/2", passing=True)
    task.line("epoch 2/2")
    assert lines == ["epoch 1/2", "epoch 2/2"]


def bar_task(total: int | None) -> tuple[BarTask, list[str]]:
    """A task in bars that are not on a screen, and the lines that it prints."""
    lines: list[str] = []
    progress = new_progress(Console(file=io.StringIO(), force_terminal=True, width=80))
    return BarTask(lines.append, progress, progress.add_task("train", total=total, shown="")), lines


def test_with_a_bar_passing_lines_are_left_out() -> None:
    task, lines = bar_task(2)
    task.line("epoch 1/2", passing=True)
    task.line("epoch 2/2")
    assert lines == ["epoch 2/2"]


def test_fields_stay_beside_the_bar_until_they_change() -> None:
    task, _ = bar_task(100)
    (row,) = task.progress.tasks
    task.advance(10, loss="0.5", rate="312 images/s")
    assert (row.completed, row.fields["shown"]) == (10, "loss 0.5 312 images/s")
    task.advance(5, loss="0.4")
    assert (row.completed, row.fields["shown"]) == (15, "loss 0.4 312 images/s")
    task.advance()
    assert (row.completed, row.fields["shown"]) == (16, "loss 0.4 312 images/s")


def test_names_and_fields_in_brackets_are_not_markup() -> None:
    stream = io.StringIO()
    progress = new_progress(Console(file=stream, width=80, color_system=None))
    progress.add_task("[red]birds", total=3, shown="[b]loss[/b]")
    stream.write("".join(str(part) for part in progress.get_renderables()))
    progress.console.print(progress.get_renderable())
    assert "[red]birds" in stream.getvalue() and "[b]loss[/b]" in stream.getvalue()
