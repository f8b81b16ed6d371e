"""Training options for tests, side by side as on the command line, instead of panel by panel."""

from __future__ import annotations

from dataclasses import fields, replace
from typing import Any

from pipelines.runs.spec import ConvSpec, DataSpec, FineTuneSpec, FitSpec, HeadSpec, NetworkSpec, TrainSpec

# Option -> (panel, field), where the two have other names.
_RENAMED = {"data": ("data", "path"), "head": ("head", "name"), "fine_tune": ("fine_tune", "blocks")}
_PANELS = {
    "data": DataSpec,
    "network": NetworkSpec,
    "conv": ConvSpec,
    "head": HeadSpec,
    "fit": FitSpec,
    "fine_tune": FineTuneSpec,
}
_PLACES = {
    field.name: (panel, field.name)
    for panel, record in _PANELS.items()
    for field in fields(record)
    if field.name not in ("path", "name", "blocks")
} | _RENAMED


def train_spec(*, data: str = "photos", out: str = "run", **options: Any) -> TrainSpec:
    """`train_spec(data="photos", out="run", backbone="vgg16", epochs=3)`."""
    return with_options(TrainSpec(out=out, data=DataSpec(path=data)), **options)


def with_options(spec: TrainSpec, **options: Any) -> TrainSpec:
    """A copy of a spec with other options."""
    changes: dict[str, dict[str, Any]] = {}
    for option, value in options.items():
        if option == "out":
            spec = replace(spec, out=value)
            continue
        panel, field = _PLACES[option]
        changes.setdefault(panel, {})[field] = value
    panels: dict[str, Any] = {panel: replace(getattr(spec, panel), **values) for panel, values in changes.items()}
    return replace(spec, **panels)
