"""One of the runs that `compare` sets side by side: what it is and costs, its scores, its difference from the first."""

from __future__ import annotations

from dataclasses import asdict, dataclass

from pipelines.runs.report import Comparison, Interval, Json


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedRun:
    """One of the runs that are compared.

    Attributes:
        run: its folder, as the user named it.
        backbone: its name; of an ensemble the number of members.
        trained: the trained layers: `head`, `head + 3 blocks`, `all`, or `members`.
        parameters: of the whole model; None where they are not known.
        images: number of images of `part`.
        part: `test`, or `validation` where one of the runs has no test scores.
        accuracy: on `part`, in [0, 1].
        accuracy_interval: Wilson, 95 %.
        log_loss: on `part`, nats.
        log_loss_interval: bootstrap, 95 %.
        seconds: wall time of its training.
        images_per_second: prediction speed of its saved model on this machine; None where it was not measured.
        size: of the files of its model, bytes; a backbone shared with other members of an ensemble is counted whole.
        accuracy_difference: this run (first) and the first run (second); None for the first run, and where the two
            have no predictions on the same images.
        log_loss_difference: likewise.
    """

    run: str
    backbone: str
    trained: str
    parameters: int | None
    images: int
    part: str
    accuracy: float
    accuracy_interval: Interval
    log_loss: float
    log_loss_interval: Interval
    seconds: float
    images_per_second: float | None
    size: int
    accuracy_difference: Comparison | None
    log_loss_difference: Comparison | None

    def to_json(self) -> Json:
        """What `compare --json` prints of a run."""
        return asdict(self)
