"""What the run of an ensemble consists of beside the ensemble."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from pipelines.runs.folder import DrawPage
from pipelines.runs.manifest import DataRecord, RunRequest
from pipelines.system.progress import Reporter


@dataclass(frozen=True, slots=True, kw_only=True)
class JoinedRun:
    """What the manifest of an ensemble needs beside the ensemble.

    Attributes:
        folder: of the run, opened by `pipelines.runs.folder.open_run`.
        spec: what was asked for.
        data: which images.
        notes: what was done otherwise than asked or expected.
        seconds: phases before this one.
        missing: name of a member that could not be trained -> why.
        draw: draws its page; None for no page.
    """

    folder: Path
    spec: RunRequest
    data: DataRecord
    notes: tuple[str, ...] = ()
    seconds: Mapping[str, float] = field(default_factory=dict)
    missing: Mapping[str, str] = field(default_factory=dict)
    draw: DrawPage | None = None

    def noted(self, note: str | None, reporter: Reporter) -> JoinedRun:
        """The same with one more note, which is reported; itself where there is none."""
        if note is None:
            return self
        reporter.note(note)
        return replace(self, notes=(*self.notes, note))
