"""Completes names from the tables when Tab is pressed; a table is imported only then."""

from __future__ import annotations


def complete_backbone(incomplete: str) -> list[str]:
    """Names of `headstart backbones` that begin with what is typed."""
    from models.zoo import BACKBONES

    return _beginning(incomplete, *BACKBONES)


def complete_head(incomplete: str) -> list[str]:
    """Names of heads."""
    from models.heads import HEADS

    return _beginning(incomplete, *HEADS)


def complete_engine(incomplete: str) -> list[str]:
    """Names of engines."""
    from models.engines.table import ENGINES

    return _beginning(incomplete, "auto", *ENGINES)


def complete_policy(incomplete: str) -> list[str]:
    """Names of augmentation policies."""
    from pipelines.images.policies import POLICIES

    return _beginning(incomplete, *POLICIES)


def complete_method(incomplete: str) -> list[str]:
    """Names of the ways to join members."""
    from pipelines.ensembles.methods import METHODS

    return _beginning(incomplete, *METHODS)


def complete_export_format(incomplete: str) -> list[str]:
    """Names of export formats."""
    from models.export import EXPORTERS

    return _beginning(incomplete, *EXPORTERS)


def complete_row_format(incomplete: str) -> list[str]:
    """Names of formats of prediction rows."""
    from pipelines.inference.prediction_rows import FORMATS

    return _beginning(incomplete, *FORMATS)


def complete_explanation(incomplete: str) -> list[str]:
    """Names of methods of explanation."""
    from pipelines.explanations.methods import METHODS

    return _beginning(incomplete, *METHODS)


def complete_weights(incomplete: str) -> list[str]:
    """The two names that are no file."""
    return _beginning(incomplete, "imagenet", "none")


def complete_views(incomplete: str) -> list[str]:
    """The named ways to average over views."""
    return _beginning(incomplete, "flip", "crop5", "crop10")


def complete_part(incomplete: str) -> list[str]:
    """Parts of a data set."""
    from typing import get_args

    from pipelines.runs.examples import Part

    return _beginning(incomplete, *get_args(Part))


def _beginning(incomplete: str, *names: str) -> list[str]:
    return [name for name in names if name.startswith(incomplete)]
