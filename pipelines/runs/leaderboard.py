"""What the user reads of an ensemble, as plain records: its members, how they disagree, and whether it was worth it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from pipelines.runs.report import Difference, Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member.

    Attributes:
        name: of it.
        path: of its run, relative to the ensemble's.
        backbone: name of its backbone.
        head: name of its head.
        seed: of its training; None where it is not known.
        fold: that validated it; None without folds.
        weight: in the ensemble, in [0, 1]; 0 where it was not taken.
        images: validation images.
        accuracy: on them.
        accuracy_interval: of it.
        log_loss: on them.
        ms: milliseconds an image alone, measured on this machine.
        mb: megabytes on disk alone.
    """

    name: str
    path: str
    backbone: str
    head: str
    seed: int | None
    fold: int | None
    weight: float
    images: int
    accuracy: float
    accuracy_interval: Interval
    log_loss: float
    ms: float
    mb: float


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleVerdict:
    """The ensemble against its best member.

    Attributes:
        part: the images both are judged on; `test`, or `validation` where there is no test part.
        images: how many.
        best: name of the member that is best on validation.
        accuracy: of the ensemble and of that member.
        log_loss: likewise.
        ms: milliseconds an image, likewise.
        difference: of the accuracies, by paired bootstrap.
    """

    part: str
    images: int
    best: str
    accuracy: tuple[float, float]
    log_loss: tuple[float, float]
    ms: tuple[float, float]
    difference: Difference

    @property
    def recommended(self) -> str:
        """The single model to take instead; empty where the ensemble is clearly better."""
        return "" if self.difference.interval[0] > 0 else self.best

    @property
    def line(self) -> str:
        """`ensemble vs best member: +1.8 points (95 % interval 0.4 .. 3.1, paired bootstrap), ...`."""
        low, high = (100 * each for each in self.difference.interval)
        return (
            f"ensemble vs best member: {100 * self.difference.value:+.1f} points "
            f"(95 % interval {low:.1f} .. {high:.1f}, paired bootstrap), "
            f"log-loss {self.log_loss[1]:.2f} -> {self.log_loss[0]:.2f}, "
            f"{self.ms[0] / self.ms[1]:.1f}x the time an image"
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """All that is told of an ensemble.

    Attributes:
        method: how its members are joined.
        temperature: of the pooled probabilities; None where none was kept.
        members: best validation accuracy first.
        names: of the rows and columns of `disagreement`; with folds one for all models of a group.
        disagreement: share of the validation images that two call by different classes.
        verdict: on the whole.
        folds: mean and standard deviation over folds, and their interval, of accuracy and log-loss; empty without.
        ms: milliseconds an image of the ensemble.
        mb: megabytes on disk of the ensemble.
    """

    method: str
    temperature: float | None
    members: tuple[MemberRow, ...]
    names: tuple[str, ...]
    disagreement: tuple[tuple[float, ...], ...]
    verdict: EnsembleVerdict
    folds: dict[str, Any]
    ms: float
    mb: float

    @classmethod
    def from_json(cls, values: Mapping[str, Any]) -> Leaderboard:
        """The record that `dataclasses.asdict` gave these values."""
        given = dict(values)
        given["members"] = tuple(_record(MemberRow, each) for each in values["members"])
        verdict = dict(values["verdict"])
        verdict["difference"] = _record(Difference, verdict["difference"])
        given["verdict"] = _record(EnsembleVerdict, verdict)
        given["disagreement"] = tuple(tuple(row) for row in values["disagreement"])
        found: Leaderboard = _record(cls, given)
        return found


def _record(kind: Any, values: Mapping[str, Any]) -> Any:
    known = {each.name for each in fields(kind)}
    given = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return kind(**{name: value for name, value in given.items() if name in known})
