"""A reporter for tests."""

from __future__ import annotations

from pipelines.system.progress import Silent


class Notes(Silent):
    """Keeps the notes and warnings of a verb.

    Attributes:
        lines: all of them, in order.
    """

    def __init__(self) -> None:
        self.lines: list[str] = []

    def note(self, text: str) -> None:
        """Keep a note."""
        self.lines.append(text)

    def warn(self, text: str) -> None:
        """Keep a warning."""
        self.lines.append(text)
