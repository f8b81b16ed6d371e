"""Cuts a classifier below the blocks that are fine-tuned, and says how fast each of its weights is trained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from keras import layers

from models.blocks import divide_into_blocks, find_lowest_trained
from models.classifier import build_top
from models.freezing import set_trainable
from models.optimizer import learning_rate_factors
from models.splitting import split_at

if TYPE_CHECKING:
    import keras

    from pipelines.training.plan import TrainingPlan


@dataclass(frozen=True, slots=True, kw_only=True)
class Cut:
    """A classifier cut in two.

    Attributes:
        lower: what stays frozen: pixels -> activations at the boundary; None where nothing does.
        top: what is trained: from there to probabilities.
        factors: on the learning rate, one for each trainable variable of the top.
        trained: names of the backbone's blocks in it.
    """

    lower: keras.Model | None
    top: keras.Model
    factors: list[float]
    trained: tuple[str, ...]


def cut_below(plan: TrainingPlan, model: keras.Model, unfreeze: str) -> Cut:
    """Unfreeze the top blocks, and cut the classifier below them.

    Args:
        plan: of the training.
        model: pixels -> probabilities, with the layers `backbone`, `pooling` and `head`.
        unfreeze: the blocks, as `models.blocks.find_lowest_trained` reads them.

    Raises:
        UserError: there is no such block.
    """
    backbone, options = model.get_layer("backbone"), plan.spec.fine_tune
    names = [name for name, _ in divide_into_blocks(backbone)]
    trained = tuple(names[find_lowest_trained(names, unfreeze) :])
    set_trainable(backbone, unfreeze, train_bn=options.train_bn)
    _hold_norms(model.get_layer("head"), train_bn=options.train_bn)
    lower: keras.Model | None
    if not trained:
        lower, top = backbone, build_top(model)
    elif len(trained) == len(names):
        lower, top = None, model
    else:
        lower, upper = split_at(backbone, unfreeze)
        top = build_top(model, upper)
    factors = learning_rate_factors(top, backbone, options.layer_decay)
    return Cut(lower=lower, top=top, factors=factors, trained=trained)


def _hold_norms(head: keras.Model, *, train_bn: bool) -> None:
    """Let the head's BatchNormalization use the statistics of the cached features: batches are small from here."""
    for layer in head.layers:
        if isinstance(layer, layers.BatchNormalization):
            layer.trainable = train_bn
