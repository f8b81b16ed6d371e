"""Fits pictures to the square as the run did that a backbone is of, and says where they are fitted otherwise."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

from models.errors import UserError
from pipelines.runs.read_manifest import read_manifest

if TYPE_CHECKING:
    from pipelines.runs.spec import NetworkSpec
    from pipelines.runs.square import Fit
    from pipelines.training.backbone import BackboneSource


def resolve_fit(network: NetworkSpec, sources: Iterable[BackboneSource]) -> NetworkSpec:
    """Fill in the fit that was not asked for.

    Args:
        network: what is asked for.
        sources: of the backbones, all of which see images fitted in the same way.

    Raises:
        UserError: the backbones are of runs that fitted their images differently.
    """
    if network.fit is not None:
        return network
    fits = {source.name: fit for source in sources if (fit := _fit_of(source))}
    if len(set(fits.values())) > 1:
        runs = " and ".join(f"`{name}` with --fit {fit}" for name, fit in fits.items())
        raise UserError(f"the backbones fit their pictures differently: {runs}", "choose one for all with --fit")
    return replace(network, fit=next(iter(fits.values()), "squash"))


def fit_lines(network: NetworkSpec, source: BackboneSource) -> list[str]:
    """A line where the run that a backbone is of fits pictures otherwise than by squashing, or than this training.

    Args:
        network: with the fit filled in.
        source: of the backbone.
    """
    fit, of_run = network.image_fit, _fit_of(source)
    if of_run is None or of_run == fit == "squash":
        return []
    if of_run == fit:
        return [f"--fit {fit}: as in `{source.name}`"]
    return [f"--fit {fit}: the network of `{source.name}` comes from pictures that were fitted by {of_run}"]


def _fit_of(source: BackboneSource) -> Fit | None:
    """The fit of the run that a backbone is of; None for a name of the table, and for a file."""
    is_run = source.backbone is None and Path(source.name).is_dir()
    return read_manifest(source.name).fit if is_run else None
