"""Commands are shown so that a shell takes them as they were."""

from __future__ import annotations

import shlex

import pytest

from pipelines.demonstration.commands import command_lines

WORDS = (
    "train",
    "runs/demo/images/greek",
    "--backbone",
    "small_cnn",
    "--image-size",
    "16",
    "--epochs",
    "40",
    "--force",
)


@pytest.mark.parametrize(
    "words",
    [WORDS, ("predict", "a run/with 'quotes'", "$HOME", "--top-k", "3"), ("compare", "x" * 90, "y" * 90, "--no-speed")],
    ids=["options", "quotes", "long"],
)
def test_a_shell_reads_the_words_that_were_shown(words: tuple[str, ...]) -> None:
    # `\` before a line's end joins two lines in a shell, and `shlex` reads it as POSIX has it.
    assert shlex.split("\n".join(command_lines(words)).replace("\\\n", "")) == ["headstart", *words]


def test_lines_fit_a_terminal_and_an_option_stands_beside_its_value() -> None:
    lines = command_lines((*WORDS, "--out", "runs/demo/runs/greek-from-scratch", "--patience", "20"))
    assert len(lines) > 1 and max(map(len, lines)) <= 80
    assert all(line.endswith(" \\") for line in lines[:-1]) and not lines[-1].endswith("\\")
    for line in lines:
        for option, value in (("--backbone", "small_cnn"), ("--image-size", "16"), ("--out", "runs")):
            assert (option in line) == (f"{option} {value}" in line)
