"""Collects how many images a second this machine computed features of, from the trials of engines in the cache."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.features.remembered_engines import CHOICES_FILE, RememberedEngines
from pipelines.runs.ranges import PositiveInt
from pipelines.system.cache import cache_folder
from pipelines.system.records import DamagedRecord, as_record, read_plain


@dataclass(frozen=True, slots=True, kw_only=True)
class _MeasuredBase:
    """What `base.json` says of the base whose engines were tried."""

    backbone: str
    image_size: PositiveInt


def list_measured_rates() -> dict[tuple[str, int], float]:
    """Backbone and side of its input in pixels -> images/s of its fastest engine that was tried here.

    Trials of other machines, and of other versions of the libraries, do not count.
    """
    rates: dict[tuple[str, int], float] = {}
    for file in (cache_folder() / "features").glob(f"*/{CHOICES_FILE}"):
        rate = RememberedEngines(file=file).fastest()
        try:
            base = as_record(read_plain(file.parent / "base.json"), _MeasuredBase)
        except (OSError, DamagedRecord):
            continue  # features that nobody can name are nobody's rate
        key = base.backbone, base.image_size
        if rate is not None:
            rates[key] = max(rate, rates.get(key, 0.0))
    return rates
