"""Class folders, with or without `train/`, `validation/` and `test/` above them, as a listing."""

from __future__ import annotations

import os
from collections.abc import Iterator

from models.errors import UserError
from pipelines.data.listing import PART_NAMES, ListedFile, Listing, natural_order, visible, walk
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import name_list, one_line

LAYOUT = "DATA holds one subfolder a class; or `train/`, `validation/` and `test/` of such folders; or is a CSV"


def read_folder(data: str, *, for_training: bool) -> Listing:
    """List the images of class folders.

    Args:
        data: an existing folder.
        for_training: False lets classes be empty or differ between the parts.

    Raises:
        UserError: no class folders, an unreadable folder, or classes that differ between the parts.
    """
    root = os.path.abspath(data)
    folders, files = _list(root)
    if not folders:
        _refuse_without_classes(data, files)
    parts = _parts(data, folders)
    if parts is None:
        return _read_classes(data, root, folders, files, for_training=for_training)
    return _read_parts(data, root, parts, folders, files, for_training=for_training)


def _read_classes(data: str, root: str, folders: list[str], files: list[str], *, for_training: bool) -> Listing:
    names = natural_order(folders)
    entries = tuple(
        ListedFile(path=path, label=label, split=None)
        for label, name in enumerate(names)
        for path in _images(os.path.join(root, name), name, required=for_training)
    )
    return Listing(
        root=data, origin="folders", class_names=tuple(names), entries=entries, remarks=_loose(data, files, "class")
    )


def _read_parts(
    data: str, root: str, parts: dict[Split, str], folders: list[str], files: list[str], *, for_training: bool
) -> Listing:
    remarks = list(_loose(data, files, "part"))
    beside = [name for name in natural_order(folders) if name not in parts.values()]
    if beside:
        remarks.append(f"beside the parts, not used: {name_list(beside)} in `{one_line(data)}`")
    classes: dict[Split, list[str]] = {}
    for split, folder in parts.items():
        inside, loose = _list(os.path.join(root, folder))
        if not inside:
            _refuse_without_classes(os.path.join(data, folder), loose)
        classes[split] = inside
        remarks.extend(_loose(os.path.join(data, folder), loose, "class"))
    if for_training and "train" not in parts:
        raise UserError(
            f"`{one_line(data)}` has {name_list(parts.values())} and no `train`",
            "there is nothing to train on without it",
        )
    if for_training:
        compare_classes(data, {parts[split]: set(names) for split, names in classes.items()})
    names = natural_order(name for each in classes.values() for name in each)
    labels = {name: label for label, name in enumerate(names)}
    entries = tuple(
        ListedFile(path=path, label=labels[name], split=split)
        for split, inside in classes.items()
        for name in natural_order(inside)
        for path in _images(os.path.join(root, parts[split], name), f"{parts[split]}/{name}", required=for_training)
    )
    return Listing(root=data, origin="split folders", class_names=tuple(names), entries=entries, remarks=tuple(remarks))


def compare_classes(data: str, classes: dict[str, set[str]]) -> None:
    """Refuse parts whose classes differ.

    Args:
        data: what the user typed.
        classes: part, as the user named it -> its class names; the training part first.

    Raises:
        UserError: names the first part that differs, with what is missing there and what only it has.
    """
    (train, expected), *others = classes.items()
    for part, found in others:
        if found == expected:
            continue
        missing, extra = natural_order(expected - found), natural_order(found - expected)
        told = [f"it has no {name_list(missing)}"] if missing else []
        told += [f"only it has {name_list(extra)}"] if extra else []
        raise UserError(
            f"the classes of `{part}` in `{one_line(data)}` are not those of `{train}`: {'; '.join(told)}",
            f"`{train}` has {name_list(natural_order(expected))}; `{part}` has {name_list(natural_order(found))}",
        )


def _parts(data: str, folders: list[str]) -> dict[Split, str] | None:
    """Part -> its folder's name, when two parts or more are there; None for class folders."""
    found: dict[Split, str] = {}
    for name in natural_order(folders):
        split = PART_NAMES.get(name.casefold())
        if split in found:
            raise UserError(
                f"`{one_line(data)}` has two folders for {split}: `{found[split]}` and `{name}`",
                "keep one of them, or rename one so that it begins with a dot",
            )
        if split is not None:
            found[split] = name
    # A class may well be called `train` (beside `bus` and `car`); `train` beside `test` is no class.
    if len(found) < 2:
        return None
    return {split: found[split] for split in SPLITS if split in found}


def _images(folder: str, name: str, *, required: bool) -> Iterator[str]:
    """The candidate files of one class; a file that two links lead to counts once."""
    seen: set[str] = set()
    for path, real_folder in walk(folder, ordered=False, unlistable=_unlistable):
        real = os.path.realpath(path) if os.path.islink(path) else os.path.join(real_folder, os.path.basename(path))
        if real not in seen:
            seen.add(real)
            yield path
    if required and not seen:
        raise UserError(
            f"class `{one_line(name)}` has no image: there is no file in `{one_line(folder)}`",
            "add images of it, or remove the folder",
        )


def _list(folder: str) -> tuple[list[str], list[str]]:
    try:
        return visible(folder)
    except OSError as error:
        _unlistable(folder, error)
        raise


def _unlistable(path: str, error: OSError) -> None:
    raise UserError(
        f"the folder `{one_line(path)}` cannot be read: {error.strerror or error}",
        "give yourself the right to read it, or leave it out by a name that begins with a dot",
    ) from error


def _loose(data: str, files: list[str], what: str) -> tuple[str, ...]:
    if not files:
        return ()
    return (f"beside the {what} folders, not used: {name_list(sorted(files), 3)} in `{one_line(data)}`",)


def _refuse_without_classes(data: str, files: list[str]) -> None:
    if files:
        raise UserError(
            f"`{one_line(data)}` has no class folders: {len(files):,} files lie directly in it",
            "put the images of each class into a subfolder named like the class, or write a CSV with `path,label`",
        )
    raise UserError(f"`{one_line(data)}` is empty: there is no class folder in it", LAYOUT)
