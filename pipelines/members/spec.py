"""Lists the members of an ensemble: the product of backbones, heads, optimizers, initial weights, seeds and folds."""

from __future__ import annotations

import itertools
import re
from dataclasses import dataclass, replace
from pathlib import Path

from models.errors import UserError
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.runs.spec import Init, Optimizer, TrainSpec

MEMBERS_FOLDER = "members"


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """One member.

    Attributes:
        name: of its folder under `members/`; no two members share it.
        group: the name without the fold: the models of one group predict each other's images.
        backbone: as the user named it.
        head: its head's name.
        seed: of everything that is drawn for it.
        optimizer: its rule; None for what is common.
        init: distribution of its initial weights; None for what is common.
        fold: that it is validated on, from 0; None without folds.
    """

    name: str
    group: str
    backbone: str
    head: str
    seed: int
    fold: int | None = None
    optimizer: Optimizer | None = None
    init: Init | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class MembersOrder:
    """Which members a worker process trains.

    Attributes:
        spec: of the whole ensemble.
        members: those to train, all on one backbone, in order.
        out: the ensemble's folder, absolute, as the members' records name it.
        place: the folder that it is trained in, absolute: another one while a run in `out` is replaced.
        dataset: the file that `pipelines.data.dataset_file.write_dataset` wrote, absolute.
    """

    spec: MembersSpec
    members: tuple[Member, ...]
    out: str
    place: str
    dataset: str


def list_members(spec: MembersSpec) -> tuple[Member, ...]:
    """The members, in the order of their training.

    Raises:
        UserError: two options contradict each other.
    """
    _refuse_contradictions(spec)
    names = file_names(spec.backbones)
    seeds = range(spec.common.fit.seed, spec.common.fit.seed + spec.seeds)
    folds = range(spec.folds) if spec.folds else (None,)
    members = []
    optimizers = spec.optimizers or (spec.common.fit.optimizer,)
    inits = spec.inits or (spec.common.fit.init,)
    product = itertools.product(spec.backbones, spec.heads, optimizers, inits, seeds, folds)
    for backbone, head, optimizer, init, seed, fold in product:
        parts = [names[backbone]]
        parts += [head] if len(spec.heads) > 1 else []
        parts += [optimizer] if optimizer and len(optimizers) > 1 else []
        parts += [init] if init and len(inits) > 1 else []
        parts += [f"{'r' if spec.boost else 's'}{seed}"] if spec.seeds > 1 else []
        group = "-".join(parts)
        name = group if fold is None else f"{group}-f{fold}"
        member = Member(
            name=name,
            group=group,
            backbone=backbone,
            head=head,
            seed=seed,
            fold=fold,
            optimizer=optimizer,
            init=init,
        )
        members.append(member)
    return tuple(members)


def spec_of(spec: MembersSpec, member: Member, out: Path) -> TrainSpec:
    """Options of the training of one member, whose run goes into `out`."""
    common = spec.common
    return replace(
        common,
        out=str(out),
        network=replace(common.network, backbone=member.backbone),
        head=replace(common.head, name=member.head),
        fit=replace(common.fit, seed=member.seed, optimizer=member.optimizer, init=member.init),
    )


def file_names(backbones: tuple[str, ...]) -> dict[str, str]:
    """A distinct file name for each backbone; a path gives its last part."""
    names: dict[str, str] = {}
    for backbone in backbones:
        plain = re.sub(r"[^\w.]+", "_", Path(backbone).name.removesuffix(".keras")).strip("._") or "backbone"
        name, number = plain, 2
        while name in names.values():
            name, number = f"{plain}_{number}", number + 1
        names[backbone] = name
    return names


def _refuse_contradictions(spec: MembersSpec) -> None:
    kinds: tuple[tuple[str, tuple[str, ...]], ...] = (
        ("backbone", spec.backbones),
        ("head", spec.heads),
        ("optimizer", spec.optimizers),
        ("initialisation", spec.inits),
    )
    for kind, names in kinds:
        repeated = next((name for name in names if names.count(name) > 1), None)
        if repeated is not None:
            raise UserError(
                f"the {kind} `{repeated}` is given twice", "name each once; --seeds trains it several times"
            )
    if spec.folds == 1:
        raise UserError("--folds must be at least 2", "give --folds 2 or more, or omit it")
    if spec.boost and (spec.bag or spec.folds):
        raise UserError(
            f"--boost does not go with {'--bag' if spec.bag else '--folds'}",
            "boosted members follow each other: choose one",
        )
    if spec.boost and spec.seeds < 2:
        raise UserError("--boost needs at least two members", "set how many with --seeds, such as --seeds 3")
    if (spec.bag or spec.boost) and not (spec.common.data.cache and spec.common.fine_tune.blocks is None):
        raise UserError(
            f"--{'bag' if spec.bag else 'boost'} weights images on cached features, or of a network from scratch",
            "omit --no-cache and --fine-tune",
        )
