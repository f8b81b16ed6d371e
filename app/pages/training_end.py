"""Prints the end of a training: its scores, those of each class, what they stand on, and what comes next."""

from __future__ import annotations

import textwrap
from typing import TYPE_CHECKING

from rich.console import Group, RenderableType

from app.pages.report import class_table, training_page
from app.pages.tables import WIDTH, remark
from pipelines.ensembles.methods import METHODS
from pipelines.runs.examples import Split
from pipelines.runs.score_basis import basis_of, is_out_of_fold
from pipelines.system.text import counted, name_list

if TYPE_CHECKING:
    from pipelines.runs.leaderboard import Leaderboard
    from pipelines.runs.manifest import Manifest
    from pipelines.runs.report import Report

FEW = 10  # judged images of a class below which its scores say little: of 9, one is 11 points


def training_end(manifest: Manifest) -> Group:
    """The scores of each part, of each class, and a line for each part that says what its images chose.

    Args:
        manifest: of a single model.
    """
    page = training_page(manifest.metrics, is_out_of_fold=is_out_of_fold(manifest))
    return Group(page, "", class_scores(manifest))


def class_scores(manifest: Manifest) -> Group:
    """The scores of each class, and a line for each part that says what its images chose.

    Args:
        manifest: of a single model or an ensemble.
    """
    part = _judging_part(manifest.metrics)
    table = class_table(manifest.metrics[part].classes)
    parts: list[RenderableType] = [f"each class, {_part_name(manifest, part)}:", table, ""]
    for split, report in manifest.metrics.items():
        line = f"{_part_name(manifest, split)}, {counted(report.images, 'image')}: {_choice(manifest, split)}"
        parts.append(remark("\n".join(textwrap.wrap(line, WIDTH, subsequent_indent="  "))))
    return Group(*parts)


def fitted_on_validation(board: Leaderboard) -> str:
    """What of an ensemble was fitted on the validation images; empty where nothing was."""
    method = METHODS[board.method]
    if method.is_stacked:
        return "the penalty of the stack was chosen"
    if method.is_fitted and len(board.names) > 1:  # one group has all the weight
        return "the weights were fitted"
    return "the temperature was fitted" if board.temperature else ""


def few_images_warning(manifest: Manifest) -> str:
    """A line that names the classes with fewer than ten judged images, and what to do; empty where there are none.

    The part that judges most images of a class counts.
    """
    counts: dict[str, int] = {}
    for report in manifest.metrics.values():
        for score in report.classes:
            counts[score.name] = max(counts.get(score.name, 0), score.support)
    few = sorted((name for name, count in counts.items() if count < FEW), key=lambda name: counts[name])
    if not few:
        return ""
    listed = ", ".join(f"{name_list([name])} {counts[name]}" for name in few[:3])
    more = f" and {len(few) - 3:,} more" if len(few) > 3 else ""
    remedy = (
        "--folds 5 judges every image that is not a test image" if _can_judge_more(manifest) else "add images of them"
    )
    return (
        f"fewer than {FEW} judged images in {counted(len(few), 'class', 'classes')} ({listed}{more}): "
        f"their scores are mostly chance; {remedy}"
    )


def _can_judge_more(manifest: Manifest) -> bool:
    """Whether `--folds` would judge images that were not judged."""
    if manifest.leaderboard is None:
        return not is_out_of_fold(manifest)
    num_judged = sum(report.images for report in manifest.metrics.values())
    num_images = sum(sum(counts.values()) for counts in manifest.data.images.values())
    return manifest.spec.members is not None and num_judged < num_images


def _judging_part(reports: dict[Split, Report]) -> Split:
    """The test part where each class has enough images in it; else the part with most images."""
    test = reports.get("test")
    if test is not None and all(score.support >= FEW for score in test.classes):
        return "test"
    return max(reports, key=lambda part: reports[part].images)


def _part_name(manifest: Manifest, part: Split) -> str:
    return "cross-validated" if part == "validation" and is_out_of_fold(manifest) else part


def _choice(manifest: Manifest, part: Split) -> str:
    """What the images of a part had a say in."""
    if manifest.leaderboard is not None and part != "test":
        fitted = fitted_on_validation(manifest.leaderboard)
        too_good = f"; {fitted} on them, so that their scores are a little too good" if fitted else ""
        return f"each predicted by members that were not fitted to it{too_good}"
    sentences = {
        "test": "they chose nothing",
        "out of fold": "each predicted by a head that was not fitted to it; together they chose the head",
        "given": "predicted by a head of the training images alone; they chose nothing",
        "chose the head": "predicted by a head of the training images alone; they chose features and penalty",
        "chose the model": f"they chose {_chosen(manifest)}, so that their scores are a little too good",
    }
    return sentences[basis_of(manifest, part)]


def _chosen(manifest: Manifest) -> str:
    """What a validation part chose that chose something of the model."""
    stages = {stage.name for stage in manifest.stages}
    chosen = "the epoch" if stages == {"from scratch"} else "the head"
    if "fine-tune" not in stages:
        return chosen
    if manifest.cross_validation is not None:
        return "the epoch of fine-tuning and whether it is kept"
    return f"{chosen} and whether fine-tuning is kept"
