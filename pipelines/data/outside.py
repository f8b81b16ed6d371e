"""Refuses to write into the user's folder of images."""

from __future__ import annotations

import os

from models.errors import UserError
from pipelines.system.text import one_line


def require_outside(data: str, out: str, *, subject: str = "the run", option: str = "--out") -> None:
    """Refuse a folder for results that lies in DATA, or is DATA, also through links.

    Args:
        data: a folder, a CSV file or `tfds:NAME`; only a folder can hold others.
        out: where they would go; it need not exist.
        subject: what would go there, for people.
        option: that names the place.

    Raises:
        UserError: names both.
    """
    if not os.path.isdir(data):
        return
    folder, place = os.path.realpath(data), os.path.realpath(out)
    if place == folder or place.startswith(folder.rstrip(os.sep) + os.sep):
        raise UserError(
            f"{subject} would go to `{one_line(out)}`, inside the images of `{one_line(data)}`",
            f"give {option} a folder outside of it: nothing is ever written between images",
        )
