"""Which epochs have a line of their own."""

from __future__ import annotations

import pytest

from pipelines.fitting.epoch_lines import has_line


@pytest.mark.parametrize(
    ("epochs", "lines"),
    [
        (1, [1]),
        (3, [1, 2, 3]),
        (20, list(range(1, 21))),
        (41, [1, *range(3, 40, 3), 41]),
        (60, [1, *range(3, 61, 3)]),
    ],
)
def test_lines_are_sparse_and_regular(epochs: int, lines: list[int]) -> None:
    assert [epoch for epoch in range(1, epochs + 1) if has_line(epoch, epochs)] == lines


def test_a_long_training_has_hardly_more_lines_than_a_short_one() -> None:
    assert sum(has_line(epoch, 100_000) for epoch in range(1, 100_001)) <= 22
