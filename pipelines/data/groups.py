"""Names the groups of images that a division keeps together: copies, near duplicates, and those that the user gives."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.runs.examples import Example


def group_keys(
    contents: Sequence[str], groups: Sequence[str | None], near_duplicates: Sequence[str | None] | None = None
) -> list[str]:
    """A key for each image, which it shares with the images of its group and with no other.

    Images of one content, of one given group and of one group of near duplicates belong together, transitively. The
    key depends on neither the order nor the number of the images of a group.

    Args:
        contents: (images,) SHA-256 of their content, hexadecimal.
        groups: (images,) the names of their given groups; None where an image has none.
        near_duplicates: (images,) the content hash that stands for an image's near duplicates, as in
            `pipelines.data.near_duplicates`; None where it has none, or for all.

    Returns:
        (images,) hashes, hexadecimal: of the name of the given group, the first in order where several are joined, or
        the first in order of the joined contents where there is none.
    """
    stand_ins = near_duplicates or [None] * len(contents)
    # A given group sorts before all contents: it names the groups that it is joined to.
    nodes_of = [
        [(1, content), *([(0, group)] if group else ()), *([(1, stand_in)] if stand_in else ())]
        for content, group, stand_in in zip(contents, groups, stand_ins, strict=True)
    ]
    parents: dict[tuple[int, str], tuple[int, str]] = {}

    def root(node: tuple[int, str]) -> tuple[int, str]:
        while parents.setdefault(node, node) != node:
            parents[node] = parents[parents[node]]
            node = parents[node]
        return node

    for nodes in nodes_of:
        first, *others = sorted(map(root, nodes))
        parents.update(dict.fromkeys(others, first))
    keys = []
    for nodes in nodes_of:
        is_content, name = root(nodes[0])
        # A name from a CSV may hold bytes that are not UTF-8.
        keys.append(name if is_content else hashlib.sha256(name.encode("utf-8", "surrogateescape")).hexdigest())
    return keys


def keys_of_examples(examples: Sequence[Example]) -> list[str]:
    """The keys of images that are checked: those of one key are copies, near duplicates or of one given group."""
    return group_keys(
        [example.sha256 for example in examples],
        [example.group for example in examples],
        [example.near_duplicate for example in examples],
    )


def say_ways(*, has_groups: bool, near: str | None) -> str:
    """Which images are in one group, for people.

    Args:
        has_groups: whether the user gave any.
        near: what near duplicates are; None where there are none.
    """
    ways = [*(["of one `group`"] if has_groups else ()), "identical", *([near] if near else ())]
    return ", ".join(ways[:-1]) + f", or {ways[-1]}" if len(ways) > 1 else ways[0]
