"""Says in one sentence what a run is worth, and on what that sentence stands."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from pipelines.runs.examples import Split
from pipelines.runs.score_basis import basis_of
from pipelines.system.text import counted, one_line

if TYPE_CHECKING:
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What a run is worth.

    Attributes:
        part: of the images that judge it.
        sentence: the share that is right, with its interval, beside what always answering one class would give.
        basis: what the images are to the model: whether they chose it.
        is_guess: whether the interval includes what always answering the most frequent class would give.
    """

    part: Split
    sentence: str
    basis: str
    is_guess: bool


def judge(manifest: Manifest) -> Verdict:
    """The verdict on a run: by its test images, where it has any."""
    part: Split = "test" if "test" in manifest.metrics else "validation"
    report = manifest.metrics[part]
    low, high = report.accuracy_interval
    frequent = max(report.classes, key=lambda score: score.support)
    chance = frequent.support / report.images
    is_guess = low <= chance
    sentence = (
        f"{percent(report.accuracy)} of {counted(report.images, 'image')} are predicted correctly "
        f"(95 % interval {percent(low)} to {percent(high)}); always answering “{one_line(frequent.name)}” "
        f"would give {percent(chance)}."
    )
    if is_guess:
        sentence += " That is not clearly better than answering without looking."
    return Verdict(part=part, sentence=sentence, basis=_basis(manifest, part, report), is_guess=is_guess)


def percent(share: float) -> str:
    """A share in [0, 1] as `91.4 %`."""
    return f"{100 * share:.1f} %"


def _basis(manifest: Manifest, part: Split, report: Report) -> str:
    smallest = min((score for score in report.classes if score.support), key=lambda score: score.support)
    few = (
        f" The class “{one_line(smallest.name)}” has {counted(smallest.support, 'image')} among them: "
        "what is said of it is hardly more than an anecdote."
        if smallest.support < 10
        else ""
    )
    chose_it = "They are validation images, which chose the model: the figures are somewhat too good."
    sentences = {
        "test": "They are test images, which chose nothing: expect this of images like them.",
        "out of fold": "They are predictions out of fold: each by a head that was not fitted to the image. The folds "
        "chose the head as well, so the figures are slightly too good; there is no test part.",
        "given": "They are validation images, which chose nothing: they are predicted by a head of the training "
        "images alone.",
        "chose the head": chose_it,
        "chose the model": chose_it,
    }
    return sentences[basis_of(manifest, part)] + few
