"""Decides which epochs have a line of their own: sparse and regular ones, whatever the time they take."""

from __future__ import annotations

MOST_LINES = 20  # of a stage, beside those of its first and its last epoch


def has_line(epoch: int, epochs: int) -> bool:
    """Whether an epoch has a line: the first, the last, and every so many.

    Args:
        epoch: its number, from 1.
        epochs: of the stage, at most.
    """
    step = -(-epochs // MOST_LINES)
    return epoch in (1, epochs) or epoch % step == 0
