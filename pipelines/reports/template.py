"""Renders the templates of the pages."""

from __future__ import annotations

from collections.abc import Mapping

from pipelines.reports.verdict import percent
from pipelines.system.text import one_line


def render(template: str, values: Mapping[str, object]) -> str:
    """A page of this room.

    Undefined names are errors, and every text is escaped: names of files and classes are anybody's.

    Args:
        template: its file.
        values: what it shows, by name.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined

    environment = Environment(
        loader=PackageLoader("pipelines.reports", "."), autoescape=True, undefined=StrictUndefined, trim_blocks=True
    )
    environment.filters |= {"percent": percent, "one_line": one_line}
    return environment.get_template(template).render(values)
