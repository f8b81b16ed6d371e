"""Suggests the option that a wrong one means, also where another tool calls it by a quite different name."""

from __future__ import annotations

import difflib
from collections.abc import Sequence

# What Keras, fastai, Ultralytics, timm and AutoGluon call what an option does here.
_ELSEWHERE = {
    "--lr": "--learning-rate",
    "--lr0": "--learning-rate",
    "--batch-size": "--batch",
    "--bs": "--batch",
    "--wd": "--weight-decay",
    "--model": "--backbone",
    "--arch": "--backbone",
    "--network": "--backbone",
    "--base": "--backbone",
    "--imgsz": "--image-size",
    "--img-size": "--image-size",
    "--input-size": "--image-size",
    "--size": "--image-size",
    "--aug": "--augment",
    "--unfreeze": "--fine-tune",
    "--finetune": "--fine-tune",
    "--cv": "--folds",
    "--kfold": "--folds",
    "--k-fold": "--folds",
    "--val": "--validation",
    "--amp": "--precision",
    "--regularization": "--l2",
    "--early-stopping": "--patience",
    "--part": "--split",
    "--subset": "--split",
    "--output": "--out",
    "--output-dir": "--out",
    "--outdir": "--out",
    "--project": "--out",
    "--overwrite": "--force",
    "--topk": "--top-k",
    "--k": "--top-k",
    "--probabilities": "--scores",
    "--probs": "--scores",
}


def nearest_options(name: str, options: Sequence[str]) -> list[str]:
    """The options that a wrong one may mean, the likeliest first; none where nothing is near.

    Args:
        name: as typed, such as `--lr`.
        options: those of the command.
    """
    name = name.replace("_", "-").casefold()
    if _ELSEWHERE.get(name) in options:
        return [_ELSEWHERE[name]]
    if name in options:
        return [name]
    continued = [option for option in options if len(name) > 3 and option.startswith(name)]
    return list(dict.fromkeys([*continued, *difflib.get_close_matches(name, options, n=3, cutoff=0.65)]))[:3]
