"""Folders drawn by the tests, and what `scan` refuses of them."""

from __future__ import annotations

from pathlib import Path

import pytest

from models.errors import UserError
from pipelines.data.scan import scan


def touch(root: Path, *names: str) -> None:
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"x")


def refused(data: Path | str) -> UserError:
    with pytest.raises(UserError) as caught:
        scan(str(data))
    error = caught.value
    assert error.hint
    assert not error.message.endswith(".")
    assert "\n" not in error.message + error.hint
    (error.message + error.hint).encode("utf-8")  # no surrogates: every terminal can show it
    return error
