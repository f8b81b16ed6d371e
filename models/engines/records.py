"""What choosing an engine gives, as plain records (no NumPy: the manifest of a run holds them)."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineReport:
    """How the engines that were tried did; keys are `engine/precision`.

    Attributes:
        images_per_second: measured on the user's images; 0 for an engine whose features differ too much.
        relative_difference: of the features from those of plain Keras.
        build_seconds: for building the engine and its first batch.
        reasons: why engines were not tried, or not taken.
    """

    images_per_second: dict[str, float]
    relative_difference: dict[str, float]
    build_seconds: dict[str, float]
    reasons: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineChoice:
    """The engine that a frozen base runs on.

    Attributes:
        engine: name in `models.engines.table.ENGINES`.
        precision: that it computes in.
        report: of the trials.
        num_images: the number of images that it was chosen for; None for any.
        seconds_per_view: of an earlier extraction; None where nothing was computed before.
    """

    engine: str
    precision: str
    report: EngineReport
    num_images: int | None = None
    seconds_per_view: float | None = None
