"""Which members an ensemble is made of: the product of the backbones, heads, seeds and folds that were asked for."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import UserError
from pipelines.runs.spec import TrainSpec


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersSpec:
    """What training an ensemble is asked to do.

    Attributes:
        common: what all members share; its backbone, head and seed are those of the first.
        backbones: names, runs or files.
        heads: names of `models.heads.HEADS`.
        seeds: how many; they count up from the common one. With `boost`, how many members follow each other.
        folds: of cross-validation; 0 for the data's own validation part.
        bag: whether each member is trained on a bootstrap sample of its own.
        boost: whether members on one backbone follow each other, each looking at what the former got wrong.
        method: how the members are joined, a name of `pipelines.ensembles.methods.METHODS`.
    """

    common: TrainSpec
    backbones: tuple[str, ...]
    heads: tuple[str, ...]
    seeds: int = 1
    folds: int = 0
    bag: bool = False
    boost: bool = False
    method: str = "greedy"

    @property
    def single(self) -> bool:
        """Whether this is one plain training and no ensemble."""
        return len(self.backbones) * len(self.heads) * self.seeds * max(1, self.folds) == 1 and not self.bag


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member.

    Attributes:
        name: of its folder under `members/`; tells the members apart.
        group: the name without the fold: the models of one group answer for each other's images.
        backbone: as the user named it.
        head: its head's name.
        seed: of everything that is drawn for it.
        fold: the fold that validates it, from 0; None without folds.
    """

    name: str
    group: str
    backbone: str
    head: str
    seed: int
    fold: int | None = None


def list_members(spec: MembersSpec) -> tuple[Member, ...]:
    """The members, in the order of their training.

    Raises:
        UserError: options that do not go together.
    """
    _refuse_nonsense(spec)
    names = slugs(spec.backbones)
    seeds = range(spec.common.seed, spec.common.seed + spec.seeds)
    folds = range(spec.folds) if spec.folds else (None,)
    found = []
    for backbone, head, seed, fold in itertools.product(spec.backbones, spec.heads, seeds, folds):
        parts = [names[backbone]]
        parts += [head] if len(spec.heads) > 1 else []
        parts += [f"{'r' if spec.boost else 's'}{seed}"] if spec.seeds > 1 else []
        group = "-".join(parts)
        name = group if fold is None else f"{group}-f{fold}"
        found.append(Member(name=name, group=group, backbone=backbone, head=head, seed=seed, fold=fold))
    return tuple(found)


def spec_of(spec: MembersSpec, member: Member, out: Path) -> TrainSpec:
    """The training of one member."""
    return replace(spec.common, out=str(out), backbone=member.backbone, head=member.head, seed=member.seed)


def slugs(names: tuple[str, ...]) -> dict[str, str]:
    """A distinct file name for each name; a path gives its last part."""
    found: dict[str, str] = {}
    for name in names:
        plain = re.sub(r"[^\w.]+", "_", Path(name).name.removesuffix(".keras")).strip("._") or "backbone"
        slug, number = plain, 2
        while slug in found.values():
            slug, number = f"{plain}_{number}", number + 1
        found[name] = slug
    return found


def _refuse_nonsense(spec: MembersSpec) -> None:
    for what, names in (("backbone", spec.backbones), ("head", spec.heads)):
        twice = next((name for name in names if names.count(name) > 1), None)
        if twice is not None:
            raise UserError(f"the {what} `{twice}` is given twice", "name each once; --seeds trains it several times")
    if spec.folds == 1:
        raise UserError("one fold cannot validate itself", "give --folds 2 or more, or leave it away")
    if spec.boost and (spec.bag or spec.folds):
        raise UserError(
            f"--boost does not go with {'--bag' if spec.bag else '--folds'}",
            "boosted members follow each other: choose one",
        )
    if spec.boost and spec.seeds < 2:
        raise UserError("--boost needs members that follow each other", "say how many with --seeds, such as --seeds 5")
    if (spec.bag or spec.boost) and not (spec.common.cache and spec.common.fine_tune is None):
        raise UserError(
            f"--{'bag' if spec.bag else 'boost'} weighs images on cached features",
            "leave --no-cache and --fine-tune away",
        )
