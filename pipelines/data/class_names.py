"""Match classes by name: two orders of the same classes, or a part of them. Pure and light."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import dataclass

from models.errors import UserError
from pipelines.system.text import one_line

LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """Where each class of some data stands among the classes of a run.

    Attributes:
        labels: for each class of the data, its index among the run's classes.
        remarks: lines the user should read.
    """

    labels: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def align(found: Sequence[str], known: Sequence[str]) -> Alignment:
    """Match the classes of a folder to those of a run, by name, whatever their order.

    Two spellings of one Unicode text (macOS writes `é` as two characters) are one name.

    Args:
        found: class names of the data.
        known: class names of the run, in the order of its model's outputs.

    Raises:
        UserError: the data has a class that the run does not know; both lists are shown, and how they differ.
    """
    places = {unicodedata.normalize("NFC", name): place for place, name in enumerate(known)}
    places |= {name: place for place, name in enumerate(known)}
    matched = {name: places.get(name, places.get(unicodedata.normalize("NFC", name))) for name in found}
    unknown = [name for name, place in matched.items() if place is None]
    labels = [place for place in matched.values() if place is not None]
    missing = [name for place, name in enumerate(known) if place not in set(labels)]
    if unknown:
        raise UserError(_difference(unknown, missing), _both(found, known, unknown, missing))
    remarks = []
    if missing:
        remarks.append(
            f"the data has {len(labels):,} of the run's {len(known):,} classes, without {_names(missing)}: "
            "means over classes go over those it has"
        )
    return Alignment(labels=tuple(labels), remarks=tuple(remarks))


def _difference(unknown: Sequence[str], missing: Sequence[str]) -> str:
    told = f"the data has {_classes(len(unknown))} that the run does not know: {_names(unknown, '+')}"
    return told + (f"; and not {_names(missing, '-')}" if missing else "")


def _both(found: Sequence[str], known: Sequence[str], unknown: Sequence[str], missing: Sequence[str]) -> str:
    alike = {_loosely(name): name for name in missing}
    pairs = [(name, alike[_loosely(name)]) for name in unknown if _loosely(name) in alike]
    told = f"the run has {_names(known)}; the data has {_names(found)}"
    if pairs:
        told += "; rename " + ", ".join(f"`{one_line(name)}` to `{one_line(other)}`" for name, other in pairs[:LISTED])
    return told


def _loosely(name: str) -> str:
    """What is left of a name without case, blanks and punctuation."""
    return "".join(each for each in unicodedata.normalize("NFKC", name).casefold() if each.isalnum())


def _classes(count: int) -> str:
    return "a class" if count == 1 else f"{count:,} classes"


def _names(names: Sequence[str], sign: str = "") -> str:
    shown = [f"{sign}`{one_line(name)}`" for name in names[:LISTED]]
    rest = len(names) - LISTED
    return ", ".join(shown) + (f" and {rest:,} more" if rest > 0 else "")
