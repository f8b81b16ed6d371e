"""Refuses to resume a training on other images than those that it began with."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

from models.errors import UserError
from pipelines.runs.examples import Dataset
from pipelines.runs.folder import write_split
from pipelines.runs.split_file import SPLIT_FILE, read_rows
from pipelines.system.text import counted, one_line


def write_split_once(folder: Path, dataset: Dataset, *, is_resumed: bool) -> None:
    """Write the list of a run's images; that of a training that is resumed must be the same.

    Raises:
        UserError: as `require_same_images`.
    """
    if is_resumed:
        require_same_images(folder, dataset)
    write_split(folder, dataset)


def require_same_images(folder: Path, dataset: Dataset) -> None:
    """Compare the images of an interrupted training, as its `split.csv` lists them, with those of today.

    A content that has another name is the same image as long as it keeps its place: an epoch's order goes by place.

    Args:
        folder: of the run.
        dataset: the images, checked and divided.

    Raises:
        UserError: images were added, removed or changed, or belong to another class or part.
    """
    if not (folder / SPLIT_FILE).exists():
        return  # it was interrupted while the images were checked
    before = [(row.label, row.split, row.sha256) for row in read_rows(folder)]
    now = [(dataset.class_names[example.label], example.split, example.sha256) for example in dataset.examples]
    if before == now:
        return
    contents_before, contents_now = (Counter(sha256 for _, _, sha256 in rows) for rows in (before, now))
    added, removed = contents_now - contents_before, contents_before - contents_now
    changes = [f"{counted(added.total(), 'image')} added"] if added else []
    changes += [f"{counted(removed.total(), 'image')} removed or changed"] if removed else []
    if classes := sorted({name for name, _, _ in now} - {name for name, _, _ in before}):
        changes.append(f"new class `{one_line(classes[0])}`")
    if not changes:
        changes.append("images have another class, part or order")
    raise UserError(
        f"the data changed since the training in `{one_line(folder)}` began: {', '.join(changes)}",
        f"restore the images and type the same command again, or delete `{one_line(folder)}` to begin anew",
    )
