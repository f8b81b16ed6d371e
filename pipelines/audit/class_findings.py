"""Finds classes with few images, classes much smaller than the largest, and names that are nearly the same."""

from __future__ import annotations

import unicodedata
from collections.abc import Mapping

from pipelines.audit.findings import Finding
from pipelines.system.text import counted

FEW = 20  # images: an accuracy on a tenth of them means nothing
TIMES = 10  # the largest class has more than so many times as many images


def find_in_classes(class_counts: Mapping[str, int], num_distinct: Mapping[str, int]) -> list[Finding]:
    """The findings about classes.

    Args:
        class_counts: class -> its readable images.
        num_distinct: class -> how many of them are no copies of each other.
    """
    findings = []
    largest = max(num_distinct, key=lambda name: num_distinct[name], default="")
    for name, count in num_distinct.items():
        copies = f", {counted(class_counts[name], 'image')} with copies" if class_counts[name] > count else ""
        detail = f"{counted(count, 'distinct image' if copies else 'image')}{copies}"
        times = num_distinct[largest] / max(count, 1)
        if count < FEW:
            findings.append(Finding(kind="small-class", label=name, detail=detail, rank=1 / (1 + count)))
        elif times > TIMES:
            findings.append(
                Finding(
                    kind="imbalance",
                    label=name,
                    detail=f"{detail}, {num_distinct[largest]:,} in the largest",
                    compared_with=largest,
                    rank=times,
                )
            )
    return findings + _like_names(list(class_counts))


def _like_names(names: list[str]) -> list[Finding]:
    """Names that differ in case, accents' Unicode form, blanks, punctuation or a plural `s` alone."""
    first: dict[str, str] = {}
    findings = []
    for name in names:
        other = first.setdefault(_letters(name), name)
        if other != name:
            detail = "differs in case, spaces, punctuation, Unicode form or a final `s` alone"
            findings.append(Finding(kind="like-names", label=name, detail=detail, compared_with=other))
    return findings


def _letters(name: str) -> str:
    """A name without case, blanks, punctuation and a final `s`; of one without letters, the name itself."""
    text = unicodedata.normalize("NFKC", name).casefold()
    letters = "".join(character for character in text if character.isalnum())
    # A short name such as `s` or `as` is no plural.
    return (letters[:-1] if len(letters) > 3 and letters.endswith("s") else letters) or name
