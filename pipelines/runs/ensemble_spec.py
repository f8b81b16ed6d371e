"""Options of training the members of an ensemble, and of combining runs."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.runs.ranges import NonNegativeFloat, NonNegativeInt, PositiveInt
from pipelines.runs.spec import Init, Optimizer, TrainSpec

DEFAULT_METHOD = "greedy"


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersSpec:
    """Options of training an ensemble.

    Attributes:
        common: what all members share; its backbone, head and seed are those of the first.
        backbones: names, runs or files.
        heads: names of `models.heads.HEADS`.
        optimizers: rules; empty for the common one.
        inits: distributions of initial weights; empty for the common one.
        seeds: how many; they count up from the common one. With `boost`, how many follow each other.
        folds: of cross-validation; 0 for the data's own validation part.
        bag: whether each member is trained on a bootstrap sample of its own.
        boost: whether the members on one backbone are trained in sequence, each on what is hard for those before it, as
            `pipelines.members.boosting` says.
        method: how the members are combined, a name of `pipelines.ensembles.methods.METHODS`.
    """

    common: TrainSpec
    backbones: tuple[str, ...]
    heads: tuple[str, ...]
    optimizers: tuple[Optimizer, ...] = ()
    inits: tuple[Init, ...] = ()
    seeds: PositiveInt = 1
    folds: NonNegativeInt = 0
    bag: bool = False
    boost: bool = False
    method: str = DEFAULT_METHOD

    @property
    def is_single(self) -> bool:
        """Whether this is one plain training: no option asks for an ensemble, a contradictory one neither."""
        is_one = len(self.backbones) * len(self.heads) * self.seeds == 1
        is_one = is_one and len(self.optimizers) < 2 and len(self.inits) < 2
        return is_one and not (self.folds or self.bag or self.boost)


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleSpec:
    """Options of combining runs.

    Attributes:
        runs: folders of complete runs.
        out: the ensemble's folder.
        method: a name of `pipelines.ensembles.methods.METHODS`.
        max_latency: milliseconds an image that it may take on this machine; None for any.
        max_size: megabytes that it may have on disk; None for any.
        seed: of what is drawn.
    """

    runs: tuple[str, ...]
    out: str
    method: str = DEFAULT_METHOD
    max_latency: NonNegativeFloat | None = None
    max_size: NonNegativeFloat | None = None
    seed: NonNegativeInt = 0
