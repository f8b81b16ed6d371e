"""Lists the images of class folders, with or without `train/`, `validation/` and `test/` above them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import NoReturn

from models.errors import UserError
from pipelines.data.class_names import unify_spellings
from pipelines.data.listing import PART_NAMES, ListedFile, Listing, natural_order
from pipelines.data.walk import list_folder, walk
from pipelines.runs.examples import SPLITS, Split
from pipelines.runs.layout import MANIFEST_FILE, is_run
from pipelines.system.text import counted, name_list, one_line

LAYOUT = "DATA is a folder with one subfolder per class, or with `train/`, `validation/`, `test/` of those, or a CSV"


def read_folder(data: str, *, for_training: bool) -> Listing:
    """List the images of class folders.

    Args:
        data: an existing folder.
        for_training: False lets classes be empty, and be missing from the training part.

    Raises:
        UserError: no class folders, an unreadable folder, a training class without images, or classes that the
            training part lacks.
    """
    root = os.path.abspath(data)
    folders, files, runs = _list(root)
    if not folders:
        raise _no_class_folders(data, files)
    parts = _part_folders(data, folders)
    if parts is None:
        remarks = [*_ignored(data, files, "class"), *_runs(data, runs)]
        return _read_classes(data, root, folders, remarks, for_training=for_training)
    unused = [name for name in natural_order(folders) if name not in parts.values()]
    remarks = [*_ignored(data, files, "part"), *_ignored(data, unused, "part"), *_runs(data, runs)]
    return _read_parts(data, root, parts, remarks, for_training=for_training)


def compare_classes(data: str, classes: dict[str, set[str]]) -> None:
    """Refuse parts with classes that the training part lacks; a part may lack some of the training part's.

    Args:
        data: what the user typed.
        classes: part, as the user named it -> its class names; the training part first.

    Raises:
        UserError: names the first such part, the classes that only it has and those that it lacks.
    """
    (train, expected), *others = classes.items()
    for part, names in others:
        if names <= expected:
            continue
        missing, extra = natural_order(expected - names), natural_order(names - expected)
        differences = [f"missing {name_list(missing)}"] if missing else []
        differences += [f"extra {name_list(extra)}"] if extra else []
        raise UserError(
            f"the classes of `{part}` in `{one_line(data)}` differ from those of `{train}`: {'; '.join(differences)}",
            f"`{train}` has {name_list(natural_order(expected))}; `{part}` has {name_list(natural_order(names))}",
        )


def _read_classes(data: str, root: str, folders: list[str], remarks: list[str], *, for_training: bool) -> Listing:
    names = natural_order(folders)
    return Listing(
        root=data,
        origin="folders",
        class_names=tuple(names),
        files=tuple(
            ListedFile(path=path, label=label, split=None)
            for label, name in enumerate(names)
            for path in _candidates(os.path.join(root, name), name, required=for_training)
        ),
        remarks=tuple(remarks),
    )


def _read_parts(data: str, root: str, parts: dict[Split, str], remarks: list[str], *, for_training: bool) -> Listing:
    classes: dict[Split, list[str]] = {}
    for split, folder in parts.items():
        part_path = os.path.join(data, folder)
        classes[split], files, runs = _list(os.path.join(root, folder))
        if not classes[split]:
            raise _no_class_folders(part_path, files)
        remarks.extend([*_ignored(part_path, files, "class"), *_runs(part_path, runs)])
    if for_training and "train" not in parts:
        raise UserError(
            f"`{one_line(data)}` has {name_list(parts.values())} but no `train`",
            "add a folder `train` with the images to train on",
        )
    class_of, matched = unify_spellings(classes.values())
    remarks.extend(matched)
    if for_training:
        compare_classes(data, {parts[split]: {class_of[name] for name in names} for split, names in classes.items()})
    class_names = natural_order(class_of.values())
    labels = {name: label for label, name in enumerate(class_names)}
    files_of_parts = (
        ListedFile(path=path, label=labels[class_of[name]], split=split)
        for split, names in classes.items()
        for name in natural_order(names)
        for path in _candidates(
            os.path.join(root, parts[split], name),
            f"{parts[split]}/{name}",
            required=for_training and split == "train",
        )
    )
    listed = tuple(files_of_parts)
    empty = next((split for split in parts if not any(file.split == split for file in listed)), None)
    if for_training and empty is not None:
        raise UserError(
            f"`{one_line(os.path.join(data, parts[empty]))}` has no images: its class folders are empty",
            "add images, or remove the folder",
        )
    return Listing(
        root=data,
        origin="split folders",
        class_names=tuple(class_names),
        files=listed,
        remarks=tuple(remarks),
    )


def _part_folders(data: str, folders: list[str]) -> dict[Split, str] | None:
    """Part -> its folder's name where there are at least two parts; None for class folders."""
    parts: dict[Split, str] = {}
    for name in natural_order(folders):
        split = PART_NAMES.get(name.casefold())
        if split in parts:
            raise UserError(
                f"`{one_line(data)}` has two folders for {split}: `{parts[split]}` and `{name}`",
                "keep one of them, or rename one so that it begins with a dot",
            )
        if split is not None:
            parts[split] = name
    # A class may well be called `train` (beside `bus` and `car`); `train` beside `test` is not a class.
    if len(parts) < 2:
        return None
    return {split: parts[split] for split in SPLITS if split in parts}


def _candidates(folder: str, name: str, *, required: bool) -> Iterator[str]:
    """The files of one class; a file that two links lead to counts once."""
    seen: set[str] = set()
    for path, real_folder in walk(folder, ordered=False, on_error=_refuse_unlistable):
        real = os.path.realpath(path) if os.path.islink(path) else os.path.join(real_folder, os.path.basename(path))
        if real not in seen:
            seen.add(real)
            yield path
    if required and not seen:
        raise UserError(
            f"class `{one_line(name)}` has no images: `{one_line(folder)}` holds no files",
            "add images of it, or remove the folder",
        )


def _list(folder: str) -> tuple[list[str], list[str], list[str]]:
    """The names of the folders that may be classes or parts, of the files, and of the folders that hold runs."""
    try:
        folders, files = list_folder(folder)
        runs = [name for name in folders if _holds_run(os.path.join(folder, name))]
    except OSError as error:
        _refuse_unlistable(folder, error)
    return [name for name in folders if name not in runs], files, runs


def _holds_run(folder: str) -> bool:
    """Whether a folder is a run of headstart, or holds nothing but runs: no class."""
    if is_run(folder):
        return True
    try:
        folders, files = list_folder(folder)
    except OSError:
        return False  # it is refused where its images are listed
    return bool(folders) and not files and all(is_run(os.path.join(folder, name)) for name in folders)


def _refuse_unlistable(path: str, error: OSError) -> NoReturn:
    raise UserError(
        f"the folder `{one_line(path)}` cannot be read: {error.strerror or error}",
        "change its permissions, or hide it with a name that begins with a dot",
    ) from error


def _ignored(data: str, names: list[str], what: str) -> Iterator[str]:
    if names:
        yield f"ignored beside the {what} folders of `{one_line(data)}`: {name_list(natural_order(names))}"


def _runs(data: str, names: list[str]) -> Iterator[str]:
    if names:
        yield (
            f"ignored in `{one_line(data)}`, because a folder with `{MANIFEST_FILE}` holds a run and no images: "
            f"{name_list(natural_order(names))}"
        )


def _no_class_folders(data: str, files: list[str]) -> UserError:
    if files:
        return UserError(
            f"`{one_line(data)}` has no class folders, only {counted(len(files), 'file')}",
            "put the images of each class into a subfolder named after the class, or write a CSV with `path,label`",
        )
    return UserError(f"`{one_line(data)}` is empty: it has no class folders", LAYOUT)
