"""Reports identical images that have two labels, and images, near duplicates and groups that are in two parts."""

from __future__ import annotations

from collections.abc import Sequence

from pipelines.data.listing import ListedFile
from pipelines.runs.examples import SPLITS, Split
from pipelines.system.text import counted, one_line


def label_conflicts(readable: Sequence[tuple[ListedFile, str]], class_names: Sequence[str]) -> list[str]:
    """A remark where identical images appear in two classes, since one of the labels must be wrong.

    Args:
        readable: files with the SHA-256 of their content.
        class_names: indexed by the files' labels.
    """
    first: dict[str, ListedFile] = {}
    conflicts: dict[str, tuple[ListedFile, ListedFile]] = {}
    for file, sha256 in readable:
        earlier = first.setdefault(sha256, file)
        if earlier.label != file.label:
            conflicts.setdefault(sha256, (earlier, file))
    if not conflicts:
        return []
    copies = min(conflicts.values(), key=lambda pair: pair[0].path)
    return [_remark(len(conflicts), "classes", [(file.path, class_names[file.label]) for file in copies])]


def leaks(readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split]) -> list[str]:
    """A remark where identical images appear in two parts, since scores on them are too high.

    Args:
        readable: files with the SHA-256 of their content.
        parts: the part of each file.
    """
    first: dict[str, tuple[str, Split]] = {}
    leaked: dict[str, list[tuple[str, str]]] = {}
    for (file, sha256), part in zip(readable, parts, strict=True):
        earlier = first.setdefault(sha256, (file.path, part))
        if earlier[1] != part:
            leaked.setdefault(sha256, [earlier, (file.path, part)])
    return [_remark(len(leaked), "parts", min(leaked.values()))] if leaked else []


def near_leaks(
    readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split], stand_in: Sequence[str | None]
) -> list[str]:
    """A remark where near duplicates that are not identical appear in two parts.

    Args:
        readable: files with the SHA-256 of their content.
        parts: the part of each file.
        stand_in: for each file the hash that stands for its near duplicates; None where it has none.
    """
    members: dict[str, list[tuple[str, str, Split]]] = {}
    for (file, sha256), part, near in zip(readable, parts, stand_in, strict=True):
        if near is not None:
            members.setdefault(near, []).append((file.path, sha256, part))
    leaked = []
    for group in members.values():
        path, sha256, part = min(group)
        other = min((one for one in group if one[2] != part and one[1] != sha256), default=None)
        if other is not None:
            leaked.append(((path, part), (other[0], other[2])))
    if not leaked:
        return []
    example = " and ".join(f"`{one_line(path)}` ({place})" for path, place in min(leaked))
    return [f"{counted(len(leaked), 'group')} of near duplicates in two parts, such as {example}"]


def group_leaks(readable: Sequence[tuple[ListedFile, str]], parts: Sequence[Split]) -> list[str]:
    """A remark where images of one given group appear in two parts, since scores on them are too high.

    Args:
        readable: files with the SHA-256 of their content.
        parts: the part of each file.
    """
    parts_of: dict[str, set[Split]] = {}
    for (file, _), part in zip(readable, parts, strict=True):
        if file.group:
            parts_of.setdefault(file.group, set()).add(part)
    leaked = sorted(group for group, group_parts in parts_of.items() if len(group_parts) > 1)
    if not leaked:
        return []
    places = " and ".join(part for part in SPLITS if part in parts_of[leaked[0]])
    return [f"{counted(len(leaked), 'group')} with images in two parts, such as `{one_line(leaked[0])}` ({places})"]


def _remark(count: int, what: str, copies: Sequence[tuple[str, str]]) -> str:
    """`copies` holds the path and the class or part of each of two identical images."""
    example = " and ".join(f"`{one_line(path)}` ({one_line(place)})" for path, place in copies)
    return f"{counted(count, 'image')} with identical copies in two {what}, such as {example}"
