"""Defines the kinds of findings: how bad each is, its words, and what to do about it. A new kind is one entry."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Severity = Literal["high", "medium", "low"]
SEVERITIES: tuple[Severity, ...] = ("high", "medium", "low")


@dataclass(frozen=True, slots=True, kw_only=True)
class Kind:
    """One kind of finding.

    Attributes:
        severity: `high`: scores or the model are wrong because of it; `medium`: probably worse; `low`: worth a look.
        title: what the images are, as the heading of a table.
        suggestion: what to do.
        is_left_out: whether `--fix` leaves such an image out of the data set that it writes.
    """

    severity: Severity
    title: str
    suggestion: str
    is_left_out: bool = False


# The worst first: in this order they are shown.
KINDS: dict[str, Kind] = {
    "two-labels": Kind(
        severity="high",
        title="identical images in two classes",
        suggestion="keep the copy in the right class, remove the others",
        is_left_out=True,
    ),
    "leak": Kind(
        severity="high",
        title="images of which a copy is in another part",
        suggestion="remove the copy that is trained on: scores on the other are too good",
        is_left_out=True,
    ),
    "near-leak": Kind(
        severity="high",
        title="near duplicates in another part",
        suggestion="remove the one that is trained on, or give both one `group`: scores are too good",
        is_left_out=True,
    ),
    "near-two-labels": Kind(
        severity="high",
        title="near duplicates in two classes",
        suggestion="look at both: one of the labels is probably wrong",
    ),
    "shortcut": Kind(
        severity="high",
        title="classes told by what is not content",
        suggestion="collect or save the images of all classes in the same way, and test on others",
    ),
    "weak-shortcut": Kind(
        severity="medium",
        title="classes partly told by what is not content",
        suggestion="see what carries it: colours may be content, the way an image was saved is not",
    ),
    "wrong-label": Kind(
        severity="high",
        title="labels that are probably wrong",
        suggestion="look at it: about half of these are truly wrong",
        is_left_out=True,
    ),
    "unreadable": Kind(
        severity="high",
        title="files that are not readable images",
        suggestion="replace or remove the file: training leaves it out",
        is_left_out=True,
    ),
    "small-class": Kind(
        severity="high",
        title="classes with few images",
        suggestion="add images of it, or merge it with another class",
    ),
    "imbalance": Kind(
        severity="medium",
        title="classes much smaller than the largest",
        suggestion="add images of it; read macro F1, not accuracy",
    ),
    "like-names": Kind(
        severity="medium",
        title="classes whose names are nearly the same",
        suggestion="merge the two if they are one class",
    ),
    "constant": Kind(
        severity="medium",
        title="images of nearly one colour",
        suggestion="remove it: there is nothing to learn from it",
        is_left_out=True,
    ),
    "tiny": Kind(severity="medium", title="tiny images", suggestion="replace it by a larger one"),
    "duplicate": Kind(
        severity="low",
        title="copies within a class",
        suggestion="remove it: the image counts twice",
        is_left_out=True,
    ),
    "near-duplicate": Kind(
        severity="low",
        title="near duplicates within a class",
        suggestion="give both one `group`, so that no division separates them",
    ),
    "outlier": Kind(
        severity="low",
        title="images unlike all others",
        suggestion="look whether it belongs to the data at all",
    ),
    "blurred": Kind(severity="low", title="blurred images", suggestion="look at it: keep it if new ones are like it"),
    "dark": Kind(severity="low", title="underexposed images", suggestion="look at it: keep it if new ones are like it"),
    "light": Kind(severity="low", title="overexposed images", suggestion="look at it: keep it if new ones are like it"),
    "aspect": Kind(severity="low", title="very long or tall images", suggestion="crop it, or train with --fit pad"),
    "huge": Kind(severity="low", title="huge images", suggestion="save it smaller: reading it takes most of the time"),
    "turned": Kind(
        severity="low",
        title="images turned by EXIF alone",
        suggestion="nothing for headstart, which turns it; other programs may show it lying",
    ),
}


def place_of(kind: str) -> int:
    """The place of a kind among all, the worst first: an order of severities, then of the table."""
    names = list(KINDS)
    return SEVERITIES.index(KINDS[kind].severity) * len(names) + names.index(kind)
