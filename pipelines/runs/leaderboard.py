"""Ensemble results as plain dataclasses (no NumPy): its members, their disagreement, the gain over the best member."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from pipelines.runs.ranges import Fraction, NonNegativeFloat, NonNegativeInt, PositiveInt
from pipelines.runs.report import FoldScore, Interval, ModelComparison, Score


@dataclass(frozen=True, slots=True, kw_only=True)
class Spread:
    """A figure that was measured several times.

    Attributes:
        median: of them.
        quartiles: half of them lie between these.
    """

    median: NonNegativeFloat
    quartiles: Interval


@dataclass(frozen=True, slots=True, kw_only=True)
class MemberRow:
    """One member of an ensemble.

    Attributes:
        name: of the member.
        path: of its run, relative to the ensemble's.
        backbone: name of its backbone.
        head: name of its head.
        seed: of its training; None where it is not known.
        fold: the cross-validation fold that it was validated on; None without folds.
        weight: in the ensemble, in [0, 1]; 0 for a member that the ensemble does not contain.
        images: validation images.
        accuracy: on them.
        accuracy_interval: of it, 95 %, Wilson's.
        log_loss: on them, nats.
        ms: prediction time of this member alone, milliseconds per image, measured on this machine: the median.
        mb: size of this member alone, megabytes on disk.
        ms_quartiles: of the time; None for runs that were made before 2026-11-24.
    """

    name: str
    path: str
    backbone: str
    head: str
    seed: NonNegativeInt | None
    fold: NonNegativeInt | None
    weight: Fraction
    images: PositiveInt
    accuracy: Fraction
    accuracy_interval: Interval
    log_loss: float
    ms: NonNegativeFloat
    mb: NonNegativeFloat
    ms_quartiles: Interval | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleGain:
    """The ensemble compared with its best member.

    Attributes:
        comparison: the ensemble first, then the member that is best on validation; on the test images, or on the
            validation images where there is no test part.
        ms: prediction time of the ensemble, milliseconds per image.
        best_ms: of that member.
        times_as_long: the ensemble against that member, measured in turn; None for runs that were made before
            2026-11-24.
    """

    comparison: ModelComparison
    ms: NonNegativeFloat
    best_ms: NonNegativeFloat
    times_as_long: Spread | None = None

    @property
    def best(self) -> str:
        """Name of the best member."""
        return self.comparison.accuracy.second

    @property
    def recommended(self) -> str:
        """The single model to use instead; empty where the ensemble is clearly more accurate."""
        return "" if self.comparison.accuracy.first_is_clearly_better else self.best

    @property
    def line(self) -> str:
        """`ensemble vs best member: +1.8 points (95 % interval 0.4 .. 3.1, paired bootstrap), ...`."""
        accuracy, log_loss = self.comparison.accuracy, self.comparison.log_loss
        low, high = (100 * bound for bound in accuracy.interval)
        return (
            f"ensemble vs best member: {100 * accuracy.value:+.1f} points "
            f"(95 % interval {low:.1f} .. {high:.1f}, paired bootstrap), "
            f"log-loss {log_loss.means[1]:.2f} -> {log_loss.means[0]:.2f}, "
            f"{self._times_as_long} the time per image"
        )

    @property
    def _times_as_long(self) -> str:
        if self.times_as_long is None:
            return f"about {self.ms / self.best_ms:.1f}x"
        low, high = self.times_as_long.quartiles
        return f"{self.times_as_long.median:.1f}x (quartiles {low:.1f} .. {high:.1f})"


@dataclass(frozen=True, slots=True, kw_only=True)
class Leaderboard:
    """The results of an ensemble.

    Attributes:
        method: name of the ensemble method.
        temperature: of the pooled probabilities; None where they are not scaled.
        members: highest validation accuracy first.
        names: of the rows and columns of `disagreement`; with folds one name for all models of a group.
        disagreement: (names, names) share of the validation images that two predict differently, in [0, 1].
        gain: over the best member; None where one group of folds is all there is.
        folds: accuracy and log-loss over the folds; empty without folds.
        ms: prediction time of the ensemble, milliseconds per image: the median.
        mb: size of the ensemble, megabytes on disk.
        ms_quartiles: of the time; None for runs that were made before 2026-11-24.
        chosen_ms: what the members took together when they were chosen for a greatest prediction time; None without.
    """

    method: str
    temperature: NonNegativeFloat | None
    members: tuple[MemberRow, ...]
    names: tuple[str, ...]
    disagreement: tuple[tuple[Fraction, ...], ...]
    gain: EnsembleGain | None
    folds: Mapping[Score, FoldScore]
    ms: NonNegativeFloat
    mb: NonNegativeFloat
    ms_quartiles: Interval | None = None
    chosen_ms: Spread | None = None
