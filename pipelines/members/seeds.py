"""Leaves out members that would be copies of others, because nothing that a seed draws matters to them."""

from __future__ import annotations

from collections.abc import Mapping

from models.errors import UserError
from pipelines.members.spec import Member
from pipelines.runs.ensemble_spec import MembersSpec
from pipelines.system.text import counted
from pipelines.training.plan import TrainingNames


def without_copies(
    spec: MembersSpec, names: Mapping[Member, TrainingNames]
) -> tuple[tuple[Member, ...], tuple[str, ...]]:
    """The members that differ from each other, and a line for each kind of which there are fewer than asked for.

    A head without a hidden layer is a convex problem. Three seeds of one on cached features of MobileNet disagreed
    about 0.3 to 0.6 % of 341 images, and about 0.6 to 3.5 % with dropout.

    Args:
        spec: of the ensemble.
        names: of each member, in the order of their training.

    Raises:
        UserError: no kind of member is changed by its seed.
    """
    copies = [
        member
        for member, looked_up in names.items()
        if not is_first_of_kind(spec, member) and not is_changed_by_seed(spec, looked_up)
    ]
    members = tuple(member for member in names if member not in copies)
    kinds = tuple(dict.fromkeys((member.backbone, member.head) for member in copies))
    if not copies:
        return members, ()
    if spec.seeds > 1 and all(member.seed == spec.common.fit.seed for member in members):
        raise UserError(
            f"--seeds {spec.seeds} would train copies: a seed changes next to nothing of a linear head without dropout",
            "add --bag, --dropout 0.5 or --fine-tune BLOCKS, choose --head mlp, or omit --seeds",
        )
    if spec.seeds == 1:
        return members, tuple(
            f"{backbone}, {head} head: trained once, other rules and initial weights give copies of a linear head"
            for backbone, head in kinds
        )
    return members, tuple(
        f"{backbone}, {head} head: 1 seed instead of {counted(spec.seeds, 'seed')}, which would be copies of it"
        for backbone, head in kinds
    )


def is_first_of_kind(spec: MembersSpec, member: Member) -> bool:
    """Whether a member has the first seed, rule and initialisation, of which others may be copies."""
    is_first = member.seed == spec.common.fit.seed
    is_first = is_first and (not spec.optimizers or member.optimizer == spec.optimizers[0])
    return is_first and (not spec.inits or member.init == spec.inits[0])


def is_changed_by_seed(spec: MembersSpec, names: TrainingNames) -> bool:
    """Whether members of one kind that differ in their seed alone predict differently.

    Args:
        spec: of the ensemble.
        names: what the names of such a member stand for.
    """
    common = spec.common
    trains_network = names.source.is_untrained or not common.data.cache or common.fine_tune.blocks is not None
    dropout = names.head.dropout if common.head.dropout is None else common.head.dropout
    num_views = common.data.views or names.policy.views
    return bool(spec.bag or spec.boost or trains_network or names.head.hidden or dropout or num_views > 1)
