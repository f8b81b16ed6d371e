"""The record of the groups of look-alikes among the images of a training (no NumPy)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from pipelines.runs.ranges import NonNegativeInt
from pipelines.system.text import counted, name_list


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikeRecord:
    """How many groups of look-alikes there are, and how they were found.

    Attributes:
        images: how many.
        groups: how many groups they form; an image that is like no other is a group of its own.
        cosine: images of a class whose features have a greater one are look-alikes.
        has_given_groups: whether the user named groups.
        stricter: class -> the cosine of its look-alikes, where that of all others would join nearly the whole class;
            None where only identical images are joined.
    """

    images: NonNegativeInt
    groups: NonNegativeInt
    cosine: float
    has_given_groups: bool = False
    stricter: Mapping[str, float | None] = field(default_factory=dict)

    @property
    def line(self) -> str:
        """The same, for people."""
        ways = "of one `group`, identical, " if self.has_given_groups else "identical, "
        line = (
            f"{counted(self.images, 'image')} in {counted(self.groups, 'group')} of look-alikes "
            f"({ways}or a cosine of features above {self.cosine:g})"
        )
        for cosine in sorted({cosine or 1.0 for cosine in self.stricter.values()}):
            names = [name for name, stricter in self.stricter.items() if (stricter or 1.0) == cosine]
            bound = f"above {cosine:g}" if cosine < 1.0 else "none, identical images alone"
            line += f"; {bound} in {counted(len(names), 'class', 'classes')} of images that nearly all look alike: "
            line += name_list(names)
        return line
