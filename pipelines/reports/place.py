"""Refuses places that no page or picture can be written to, before any work is done."""

from __future__ import annotations

from pathlib import Path

from models.errors import UserError


def require_page(path: str, *, option: str) -> None:
    """Refuse a file that is not named as a page, or whose folder does not exist.

    Args:
        path: of the file.
        option: that names it, for people.

    Raises:
        UserError: says what is wrong.
    """
    target = Path(path)
    if target.suffix.lower() not in (".html", ".htm"):
        raise UserError(f"`{path}` is not the name of a page", f"end {option} in .html")
    if not target.absolute().parent.is_dir():
        raise UserError(f"no folder `{target.parent}` for the page", f"make it, or choose another {option}")


def require_folder(path: str) -> None:
    """Refuse a folder for pictures that is a file, or that lies in none.

    Args:
        path: of the folder, which need not exist.

    Raises:
        UserError: says what is wrong.
    """
    folder = Path(path)
    if not folder.absolute().parent.is_dir() or (folder.exists() and not folder.is_dir()):
        raise UserError(f"no place for a folder `{path}`", "name a folder in one that exists")
