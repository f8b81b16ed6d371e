"""The record of the groups of look-alikes among the images of a training (no NumPy)."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.runs.ranges import NonNegativeInt
from pipelines.system.text import counted, name_list


@dataclass(frozen=True, slots=True, kw_only=True)
class StricterCosine:
    """The cosine of a class of which that of the others would make nearly one group.

    Attributes:
        class_name: of the class.
        cosine: of its look-alikes; None where none is great enough, so that only copies and given groups are joined.
    """

    class_name: str
    cosine: float | None


@dataclass(frozen=True, slots=True, kw_only=True)
class LookAlikeRecord:
    """How many groups of look-alikes there are, and how they were found.

    Attributes:
        images: how many.
        groups: how many groups they form; an image that is like no other is a group of its own.
        cosine: images of a class whose features have a greater one are look-alikes.
        has_given_groups: whether the user named groups.
        has_near_duplicates: whether some were joined by their edges, before features were known.
        stricter: the classes that have another cosine.
    """

    images: NonNegativeInt
    groups: NonNegativeInt
    cosine: float
    has_given_groups: bool = False
    has_near_duplicates: bool = False
    stricter: tuple[StricterCosine, ...] = ()

    @property
    def line(self) -> str:
        """The same, for people."""
        ways = "of one `group`, identical, " if self.has_given_groups else "identical, "
        ways += "alike by their edges, " if self.has_near_duplicates else ""
        line = (
            f"{counted(self.images, 'image')} in {counted(self.groups, 'group')} of look-alikes "
            f"({ways}or a cosine of features above {self.cosine:g})"
        )
        for cosine in dict.fromkeys(sorted((one.cosine for one in self.stricter), key=lambda cosine: cosine or 1.0)):
            names = [one.class_name for one in self.stricter if one.cosine == cosine]
            bound = f"above {cosine:g}" if cosine else "by no cosine"
            line += f"; {bound} in {counted(len(names), 'class', 'classes')} of images that nearly all look alike: "
            line += name_list(names)
        return line
