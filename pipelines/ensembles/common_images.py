"""Finds the images that runs trained separately have in common: to fit their weights on, and to evaluate them on."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from models.errors import UserError
from pipelines.ensembles.member_predictions import Images
from pipelines.evaluation.saved_predictions import read_held_out
from pipelines.runs.examples import SPLITS, Example, Split
from pipelines.runs.manifest import Manifest


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainedRun:
    """A run that is to become a member.

    Attributes:
        run: its folder, as the user named it.
        name: short and distinct.
        manifest: of the run.
        examples: its images with the parts they had.
    """

    run: str
    name: str
    manifest: Manifest
    examples: tuple[Example, ...]

    def hashes(self, part: Split) -> set[str]:
        """Content hashes of its images of a part."""
        return {example.sha256 for example in self.examples if example.split == part}


def common_images(runs: Sequence[TrainedRun], class_names: tuple[str, ...]) -> Images:
    """The images that weights can be fitted on, and those that can test the ensemble.

    Args:
        runs: the members.
        class_names: what the labels of the result index.

    Raises:
        UserError: the runs have no image in common that none of them was trained on.
    """
    labels = {name: label for label, name in enumerate(class_names)}
    examples: dict[str, Example] = {}
    parts: dict[str, set[Split]] = {}
    for run in runs:
        for example in run.examples:
            label = labels[run.manifest.class_names[example.label]]
            examples.setdefault(example.sha256, replace(example, label=label))
            parts.setdefault(example.sha256, set()).add(example.split)
    examples = dict(sorted(examples.items(), key=lambda item: item[1].path))
    fitted = _usable(runs)
    if not fitted:
        raise UserError(
            "the runs have no validation image in common that none of them was trained on",
            "train them on the same data, or all at once: headstart train DATA --backbone A --backbone B --out RUN",
        )
    # An image that any run saw outside its test part is not a test image.
    tested = set.intersection(*(run.hashes("test") for run in runs))
    tested -= {sha256 for sha256, found_in in parts.items() if found_in != {"test"}}
    first_part = {sha256: min(found_in, key=SPLITS.index) for sha256, found_in in parts.items()}
    return Images(
        fitted=tuple(example for sha256, example in examples.items() if sha256 in fitted),
        test=tuple(example for sha256, example in examples.items() if sha256 in tested),
        all=tuple(replace(example, split=first_part[sha256]) for sha256, example in examples.items()),
        class_names=class_names,
    )


def _usable(runs: Sequence[TrainedRun]) -> set[str]:
    """Hashes of the images that every run has predictions of, without having been trained on them."""
    return set.intersection(*(_predicted(run) for run in runs))


def _predicted(run: TrainedRun) -> set[str]:
    """Hashes of a run's validation images; out-of-fold predictions of training images are as good as those."""
    validation = run.hashes("validation")
    saved = read_held_out(run.run)
    predicted = {sha256.decode() for sha256 in saved.sha256} if saved is not None else set()
    if run.manifest.cross_validation is not None:
        return predicted  # by heads of other folds; the run's own was fitted to all of them
    # A validation image may have an identical copy among the training images.
    return (validation - run.hashes("train")) | (predicted - validation)
