"""Refuses to resume a training on other images than those that it began with."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from models.errors import UserError
from pipelines.runs.examples import Dataset
from pipelines.runs.folder import begin_anew, write_split
from pipelines.runs.layout import SPLIT_FILE
from pipelines.runs.manifest import RunRequest
from pipelines.runs.replacement import run_to_replace
from pipelines.runs.split_file import read_rows
from pipelines.system.progress import Reporter
from pipelines.system.text import counted, one_line


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenedRun:
    """A folder in which a run is trained.

    Attributes:
        folder: locked, with a state.
        request: what is asked for.
        is_resumed: whether an interrupted training of the same request is in it.
        force: whether that may be deleted.
    """

    folder: Path
    request: RunRequest
    is_resumed: bool
    force: bool


def joins_near_duplicates(run: OpenedRun) -> bool:
    """Whether the images of a run are divided with near duplicates together.

    A training that began before they were known keeps its division. Where there are no near duplicates, `split.csv`
    does not name any, and both divisions are the same.

    Raises:
        UserError: `split.csv` is damaged, and the training may not begin anew.
    """
    if not run.is_resumed or not (run.folder / SPLIT_FILE).exists():
        return True
    try:
        return any(row.near_duplicate for row in read_rows(run.folder))
    except UserError:
        if not run.force:
            raise
        return True  # the training begins anew


def write_split_once(run: OpenedRun, dataset: Dataset, reporter: Reporter) -> None:
    """Write the list of a run's images; that of a training that is resumed must be the same.

    Raises:
        UserError: images were added, removed or changed, or belong to another class or part. With `force` the training
            begins anew instead, and a note says so.
    """
    if run.is_resumed:
        try:
            _require_same_images(run.folder, dataset)
        except UserError as error:
            if not run.force:
                raise
            reporter.note(f"{error.message}: the training begins anew")
            begin_anew(run.folder, run.request, force=True)
    write_split(run.folder, dataset)


def _require_same_images(folder: Path, dataset: Dataset) -> None:
    changes = changes_since(folder, dataset)
    if changes:
        raise UserError(
            f"the data changed since the training in `{one_line(run_to_replace(folder) or folder)}` began: {changes}",
            "restore the images and type the same command again, or begin anew with --force",
        )


def changes_since(folder: Path, dataset: Dataset) -> str:
    """Compare the images of an interrupted training, as its `split.csv` lists them, with those of today.

    A content that has another name is the same image as long as it keeps its place: an epoch's order goes by place.

    Args:
        folder: of the run.
        dataset: the images, checked and divided.

    Returns:
        What changed, for people; an empty text where nothing did.

    Raises:
        UserError: `split.csv` is damaged.
    """
    if not (folder / SPLIT_FILE).exists():
        return ""  # it was interrupted while the images were checked
    before = [(row.label, row.split, row.group, row.sha256) for row in read_rows(folder)]
    names = dataset.class_names
    now = [(names[image.label], image.split, image.group, image.sha256) for image in dataset.examples]
    if before == now:
        return ""
    contents_before, contents_now = (Counter(sha256 for *_, sha256 in rows) for rows in (before, now))
    added, removed = contents_now - contents_before, contents_before - contents_now
    changes = [f"{counted(added.total(), 'image')} added"] if added else []
    changes += [f"{counted(removed.total(), 'image')} removed or changed"] if removed else []
    if classes := sorted({name for name, *_ in now} - {name for name, *_ in before}):
        changes.append(f"new class `{one_line(classes[0])}`")
    if not changes:
        changes.append("images have another class, part, group or order")
    return ", ".join(changes)
