"""Writes the command that makes a run, from the options that its request keeps."""

from __future__ import annotations

from collections.abc import Container, Iterator
from dataclasses import MISSING, fields
from typing import TYPE_CHECKING, Any

from pipelines.runs.ensemble_spec import EnsembleSpec, MembersSpec
from pipelines.runs.spec import HeadSpec

if TYPE_CHECKING:
    from pipelines.runs.manifest import RunRequest

# Fields whose option has another name; all others are named alike. A test reads the command back.
_FLAGS = {"blocks": "--fine-tune"}
# Fields that are arguments, or that are written where all members are known.
_ELSEWHERE = ("path", "backbone", "name", "optimizer", "init", "out", "runs")
_OF_MEMBERS = ("common", "backbones", "heads", "optimizers", "inits")
_PANELS = ("network", "conv", "head", "data", "fit", "fine_tune")


def command_of(request: RunRequest) -> tuple[str, ...]:
    """The words of the command that asks for what a request asks for; options at their defaults are left out.

    Args:
        request: of a run.

    Returns:
        The words, not quoted; none for a request that asks for nothing.
    """
    if request.ensemble is not None:
        return ("headstart", "ensemble", *request.ensemble.runs, *_of_ensemble(request.ensemble))
    if request.members is not None:
        members = request.members
    elif request.train is not None:
        members = MembersSpec(
            common=request.train, backbones=(request.train.network.backbone,), heads=(request.train.head.name,)
        )
    else:
        return ()
    return ("headstart", "train", members.common.data.path, *_of_members(members))


def _of_ensemble(spec: EnsembleSpec) -> Iterator[str]:
    yield from _differences(spec, _ELSEWHERE)
    yield from ("--out", spec.out)


def _of_members(spec: MembersSpec) -> Iterator[str]:
    common = spec.common
    for backbone in spec.backbones:
        yield from ("--backbone", backbone)
    for head in () if spec.heads == (HeadSpec().name,) else spec.heads:
        yield from ("--head", head)
    for flag, several, one in (
        ("--optimizer", spec.optimizers, common.fit.optimizer),
        ("--init", spec.inits, common.fit.init),
    ):
        for value in several or (() if one is None else (one,)):
            yield from (flag, value)
    for panel in _PANELS:
        yield from _differences(getattr(common, panel), _ELSEWHERE)
    yield from _differences(spec, _OF_MEMBERS)
    yield from ("--out", common.out)


def _differences(record: Any, elsewhere: Container[str]) -> Iterator[str]:  # a panel of a request
    """The options of a record that are not at their defaults, but for some fields."""
    for field in fields(record):
        value = getattr(record, field.name)
        if field.name in elsewhere or field.default is MISSING or value == field.default:
            continue
        flag = _FLAGS.get(field.name, "--" + field.name.replace("_", "-"))
        if isinstance(value, bool):
            yield flag if value else "--no-" + flag.removeprefix("--")
        else:
            yield from (flag, str(value))
