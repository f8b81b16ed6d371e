"""Refuses `--mirror` where no features are averaged, or where a mirror image is another thing."""

from __future__ import annotations

from typing import TYPE_CHECKING

from models.errors import UserError

if TYPE_CHECKING:
    from pipelines.runs.spec import TrainSpec

_INSTEAD = "omit --mirror; `predict --tta flip` averages probabilities over mirror images"


def refuse_mirror(spec: TrainSpec, *, is_untrained: bool) -> None:
    """Refuse options that do not go with `--mirror`.

    Args:
        spec: what is asked for.
        is_untrained: whether the network starts from random weights, so that all its layers are trained.

    Raises:
        UserError: there is such an option.
    """
    if not spec.head.mirror:
        return
    if spec.data.no_flip:
        raise UserError(
            "--mirror averages features over mirror images, and --no-flip says that they show something else",
            "omit one of the two",
        )
    if is_untrained:
        raise UserError("--mirror is for pretrained networks: here every layer is trained", _INSTEAD)
    if not spec.data.cache:
        raise UserError(
            "--mirror needs cached features, and --no-cache computes none", f"omit --no-cache, or {_INSTEAD}"
        )
    if spec.fine_tune.blocks is not None:
        raise UserError("--fine-tune trains on single images: --mirror does not go with it", _INSTEAD)
