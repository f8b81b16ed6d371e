"""Writes the page of a run: what it is worth, and the images that show it.

headstart report runs/photos
"""

from __future__ import annotations

from pathlib import Path

from pipelines.reports.drawing import draw_run
from pipelines.reports.place import require_page
from pipelines.runs.layout import REPORT_FILE
from pipelines.runs.read_manifest import read_manifest
from pipelines.system.progress import Reporter, Silent


def report(run: str, *, out: str | None = None, reporter: Reporter | None = None) -> Path:
    """Write the page of a run: one HTML file without a script, that asks for nothing from anywhere.

    Where it lies in the run, the pictures of what the run gets right and wrong are drawn beside it.

    Args:
        run: folder of a complete run; single or an ensemble.
        out: the file; `report.html` in the run by default.
        reporter: shows progress.

    Returns:
        The path of the file.

    Raises:
        UserError: there is no such run, a file of it is damaged, or the page cannot be written there.
    """
    reporter = reporter or Silent()
    folder = Path(run)
    manifest = read_manifest(folder)
    target = Path(out) if out else folder / REPORT_FILE
    require_page(str(target), option="--out")
    draw_run(folder, manifest, target, name=folder.absolute().name, reporter=reporter, has_pictures=out is None)
    return target
