"""Damages files: bytes of any file, values of JSON, members of archives."""

from __future__ import annotations

import io
import json
import zipfile
from collections.abc import Callable
from typing import Any, TypeAlias

from hypothesis import strategies as st

Plain: TypeAlias = Any  # plain JSON
Draw: TypeAlias = Callable[..., Any]  # hypothesis draws values of as many types as there are strategies

# What may stand where something else is expected; numbers are small, for a layer of so many units must be built.
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 40)
    | st.floats(-3, 40)
    | st.sampled_from([float("nan"), float("inf"), 10**30, "", "a", "../../x", "/etc/passwd", "\udcff", "keras", "é\n"])
    | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=5,
)


@st.composite
def damaged_bytes(draw: Draw, content: bytes) -> bytes:
    """The content with one to three bytes, or pieces, changed, added or lost; never the same."""
    for _ in range(draw(st.integers(1, 3))):
        place = draw(st.integers(0, max(len(content) - 1, 0)))
        length = draw(st.sampled_from([1, 1, 2, 8, 100, 10_000]))
        piece = content[place : place + length]
        content = draw(
            st.sampled_from(
                [
                    content[:place],
                    content[:place] + content[place + length :],
                    content[:place] + bytes(byte ^ 1 << place % 8 for byte in piece[:1]) + content[place + 1 :],
                    content[:place] + bytes(len(piece)) + content[place + length :],
                    content[:place] + piece + content[place:],
                    content[:place] + draw(st.binary(max_size=20)) + content[place + length :],
                ]
            )
        )
    return content


@st.composite
def damaged_json(draw: Draw, content: bytes) -> bytes:
    """JSON in which one to three values are lost, added or replaced by others; or what is hard to read."""
    if draw(st.integers(0, 19)) == 0:
        return draw(st.sampled_from([b"", b"null", b"[" * 100_000, b"9" * 5000, b"\xff\xfe{}", b'{"a": 1e999}']))
    values = json.loads(content)
    for _ in range(draw(st.integers(1, 3))):
        values = _damage(draw, values)
    return json.dumps(values).encode()


def _damage(draw: Draw, node: Plain) -> Plain:
    if not isinstance(node, dict | list) or not node or draw(st.integers(0, 5)) == 0:
        return draw(VALUES)
    is_dict = isinstance(node, dict)
    place = draw(st.sampled_from(sorted(node) if is_dict else range(len(node))))
    copy = node.copy()
    match draw(st.integers(0, 7)):
        case 0:
            del copy[place]
        case 1 if is_dict:
            copy[draw(st.text(max_size=5))] = draw(VALUES)
        case 1:
            copy = [*copy, node[place]]
        case _:
            copy[place] = _damage(draw, node[place])
    return copy


@st.composite
def damaged_archive(draw: Draw, content: bytes) -> bytes:
    """An archive with checksums that are right and a member that is damaged, missing, renamed or foreign."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    name = draw(st.sampled_from(sorted(members)))
    match draw(st.integers(0, 9)):
        case 0:
            del members[name]
        case 1:
            members[draw(st.sampled_from(["../../outside", "assets/../../x", "/outside", "assets/a", name + "x"]))] = (
                members[name]
            )
        case _ if name.endswith(".json"):
            members[name] = draw(damaged_json(members[name]))
        case _:
            members[name] = draw(damaged_bytes(members[name]))
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for member, data in members.items():
            archive.writestr(member, data)
    return buffer.getvalue()
