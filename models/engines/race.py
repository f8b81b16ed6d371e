"""Tries the engines that may beat the best so far by more than building them costs, the most promising first."""

from __future__ import annotations

from dataclasses import dataclass, field

from models.engines.table import ENGINES
from models.engines.trials import TOLERANCE, Candidate, EngineTrial, Reference, try_engine

# An engine that can be at most this many times as fast as the best so far is not built.
_LEAST_GAIN = 1.1


@dataclass(slots=True, kw_only=True)
class Race:
    """The trials for `--engine auto`.

    Attributes:
        reference: what engines are built from and compared with.
        plain: the trial of plain Keras.
        num_images: how many images there are to compute; None for very many.
        reasons: why engines were not tried, or dropped.
    """

    reference: Reference
    plain: EngineTrial
    num_images: int | None
    reasons: list[str] = field(default_factory=list)
    _best: EngineTrial = field(init=False)
    _moved_far: set[str] = field(init=False, default_factory=set)
    _slow_to_build: list[str] = field(init=False, default_factory=list)

    def run(self) -> list[EngineTrial]:
        """The trials of the engines whose features are those of plain Keras; plain Keras is not among them."""
        self._best = self.plain
        self._note_absent()
        trials = [trial for candidate in _list_candidates() if (trial := self._try(candidate))]
        if self._slow_to_build:
            names = ", ".join(self._slow_to_build)
            self.reasons.append(
                f"not tried for {self.num_images:,} images: {names}; building takes longer than it saves"
            )
        return trials

    def _note_absent(self) -> None:
        self.reasons += [
            f"not tried: {engine.absent[0]}"
            for engine in ENGINES.values()
            if engine.is_named_when_absent and not engine.precisions()
        ]

    def _try(self, candidate: Candidate) -> EngineTrial | None:
        """The trial of an engine that is worth building and gives the features of plain Keras."""
        if not self._is_worth_building(candidate):
            return None
        trial, reason = try_engine(candidate, self.reference)
        if reason:
            self.reasons.append(reason)
        if trial is None:
            return None
        if trial.is_exact:
            self._best = max(self._best, trial, key=lambda trial: trial.rate)
            return trial
        if trial.difference > 2 * TOLERANCE:
            self._moved_far.add(candidate.precision)  # Rounding is the same in every engine.
        return None

    def _is_worth_building(self, candidate: Candidate) -> bool:
        name, engine, precision = candidate
        hoped = self.plain.rate * engine.hope[precision]
        if name == "keras" or hoped <= _LEAST_GAIN * self._best.rate:
            return False
        if precision in self._moved_far:
            self.reasons.append(f"not tried: {name} {precision}, in which the features moved too far already")
            return False
        if self.num_images is None:
            return True
        saved_seconds = self.num_images / self._best.rate - self.num_images / hoped
        if saved_seconds < engine.cost * self.plain.build_seconds:
            self._slow_to_build.append(f"{name} {precision}")
            return False
        return True


def _list_candidates() -> list[Candidate]:
    """Every engine in every precision that it offers here: the greatest hope first, then what is built soonest."""
    candidates = [
        Candidate(name, engine, precision) for name, engine in ENGINES.items() for precision in engine.precisions()
    ]
    return sorted(
        candidates, key=lambda candidate: (-candidate.engine.hope[candidate.precision], candidate.engine.cost)
    )
