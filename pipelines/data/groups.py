"""Names the groups of images that a division keeps together: copies, and those of one group that the user gives."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence


def group_keys(contents: Sequence[str], groups: Sequence[str | None]) -> list[str]:
    """A key for each image, which it shares with the images of its group and with no other.

    Images of one content and images of one given group belong together, and so do two given groups with a copy of one
    image. The key depends on neither the order nor the number of the images of a group.

    Args:
        contents: (images,) SHA-256 of their content, hexadecimal.
        groups: (images,) the names of their given groups; None where an image has none.

    Returns:
        (images,) hashes, hexadecimal: of the name of the given group, the first in order where copies join several, or
        of the content where there is none.
    """
    names_of: dict[str, set[str]] = {}  # content -> the names that it must share a key with
    for content, group in zip(contents, groups, strict=True):
        names_of.setdefault(content, set()).update({group} if group else ())
    first_names = _first_names(names for names in names_of.values() if len(names) > 1)
    keys = {}
    for content, names in names_of.items():
        name = min((first_names.get(name, name) for name in names), default=None)
        # A name from a CSV may hold bytes that are not UTF-8.
        keys[content] = content if name is None else hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest()
    return [keys[content] for content in contents]


def _first_names(sets: Iterable[set[str]]) -> dict[str, str]:
    """For each name in the sets the first in order of the names that it is joined to, through any number of sets."""
    parents: dict[str, str] = {}

    def root(name: str) -> str:
        while parents.setdefault(name, name) != name:
            parents[name] = parents[parents[name]]
            name = parents[name]
        return name

    for names in sets:
        first, *others = sorted(map(root, names))
        parents.update(dict.fromkeys(others, first))
    return {name: root(name) for name in list(parents)}
