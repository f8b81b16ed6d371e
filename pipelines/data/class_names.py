"""Matches classes by name: those of a data set to those of a run, and those of its parts to each other."""

from __future__ import annotations

import unicodedata
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from models.errors import UserError
from pipelines.system.text import counted, name_list, one_line

# Names shown in a message.
LISTED = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Alignment:
    """The places of a data set's classes among the classes of a run.

    Attributes:
        labels: for each class of the data, its index among the run's classes.
        remarks: lines that the user should read.
    """

    labels: tuple[int, ...]
    remarks: tuple[str, ...] = ()


def align(data_names: Sequence[str], run_names: Sequence[str]) -> Alignment:
    """Match the classes of a data set to those of a run, by name.

    Two spellings of one Unicode text (macOS writes `é` as two characters) are one name.

    Args:
        data_names: class names of the data.
        run_names: class names of the run, in the order of its model's outputs.

    Raises:
        UserError: the data has a class that the run does not know; the message and the hint show the difference and
            both lists.
    """
    places = {unicodedata.normalize("NFC", name): place for place, name in enumerate(run_names)}
    places |= {name: place for place, name in enumerate(run_names)}
    matches = {name: places.get(name, places.get(unicodedata.normalize("NFC", name))) for name in data_names}
    unknown = [name for name, place in matches.items() if place is None]
    labels = tuple(place for place in matches.values() if place is not None)
    known = set(labels)
    missing = [name for place, name in enumerate(run_names) if place not in known]
    if unknown:
        raise UserError(_difference(unknown, missing), _both_lists(data_names, run_names, unknown, missing))
    if not missing:
        return Alignment(labels=labels)
    remark = (
        f"the data has {len(labels):,} of the run's {len(run_names):,} classes, without {name_list(missing, LISTED)}: "
        "means over classes leave those out"
    )
    return Alignment(labels=labels, remarks=(remark,))


def lookalikes(class_names: Sequence[str]) -> tuple[str, ...]:
    """A remark where classes differ in case or in Unicode form alone: probably one class under two names.

    Args:
        class_names: of one data set, in order.
    """
    groups: dict[str, list[str]] = {}
    for name in class_names:
        groups.setdefault(unicodedata.normalize("NFC", unicodedata.normalize("NFC", name).casefold()), []).append(name)
    alike = [names for names in groups.values() if len(names) > 1]
    if not alike:
        return ()
    # In ASCII: two Unicode forms of one name look the same on a terminal.
    shown = ["` and `".join(name if name.isascii() else ascii(name)[1:-1] for name in names) for names in alike]
    return (f"classes whose names differ in case or Unicode form alone stay apart: {name_list(shown)}",)


def unify_spellings(parts: Iterable[Iterable[str]]) -> tuple[dict[str, str], tuple[str, ...]]:
    """Match the classes of parts whose names are two Unicode forms of one text (macOS writes `é` as two characters).

    Args:
        parts: the class names of each part. Two forms within one part stay two classes.

    Returns:
        For each name that of its class, its form in the first part that has it; and a remark where forms were matched.
    """
    first: dict[str, str] = {}
    apart: set[str] = set()
    parts = [list(dict.fromkeys(names)) for names in parts]
    for names in parts:
        counts = Counter(unicodedata.normalize("NFC", name) for name in names)
        apart.update(text for text, count in counts.items() if count > 1)
        for name in names:
            first.setdefault(unicodedata.normalize("NFC", name), name)
    classes = {}
    for name in (name for names in parts for name in names):
        text = unicodedata.normalize("NFC", name)
        classes[name] = name if text in apart else first[text]
    matched = dict.fromkeys(name for spelling, name in classes.items() if spelling != name)
    if not matched:
        return classes, ()
    return classes, (
        f"the parts spell class names in different Unicode forms, which are matched: {name_list(matched)}",
    )


def _difference(unknown: Sequence[str], missing: Sequence[str]) -> str:
    classes = counted(len(unknown), "class", "classes")
    difference = f"the data has {classes} that the run does not know: {name_list(unknown, LISTED, sign='+')}"
    return difference + (f"; missing: {name_list(missing, LISTED, sign='-')}" if missing else "")


def _both_lists(
    data_names: Sequence[str], run_names: Sequence[str], unknown: Sequence[str], missing: Sequence[str]
) -> str:
    """The hint: the names of both, and which names of the data to change where they differ in spelling alone."""
    hint = f"the run has {name_list(run_names, LISTED)}; the data has {name_list(data_names, LISTED)}"
    by_letters = {_letters(name): name for name in missing}
    pairs = [(name, by_letters[_letters(name)]) for name in unknown if _letters(name) in by_letters]
    if pairs:
        hint += "; rename " + ", ".join(f"`{one_line(name)}` to `{one_line(other)}`" for name, other in pairs[:LISTED])
    return hint


def _letters(name: str) -> str:
    """A name without case, blanks and punctuation."""
    return "".join(character for character in unicodedata.normalize("NFKC", name).casefold() if character.isalnum())
