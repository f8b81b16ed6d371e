"""Reads the pictures to explain in batches: what the network sees of each, and what people see."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING

from models.machine import count_cores
from pipelines.inference.inputs import Input, Loaded, load_with_content
from pipelines.inference.predict_inputs import MAX_THREADS, read_ahead
from pipelines.runs.square import Square

if TYPE_CHECKING:
    from collections.abc import Callable

    from models.arrays import Pixels, Singles, Tensor

# Pixels of the longer side of a picture as it is shown.
SHOWN = 320
BATCH = 32


@dataclass(frozen=True, slots=True, eq=False, kw_only=True)
class Picture:
    """A picture to explain.

    Attributes:
        loaded: its path, whether it is readable, and what the network sees.
        shown: (height, width, 3) in [0, 255], upright, the longer side `SHOWN`; None when it is unreadable.
        height: of the upright picture itself, pixels; 0 when it is unreadable.
        width: likewise.
    """

    loaded: Loaded
    shown: Singles | None = None
    height: int = 0
    width: int = 0

    @property
    def pixels(self) -> Pixels:
        """What the network sees: (size, size, 3)."""
        assert self.loaded.pixels is not None
        return self.loaded.pixels


def read_pictures(inputs: Iterable[Input], square: Square) -> Iterator[list[Picture]]:
    """Decode inputs in threads, ahead of the network.

    Yields:
        Batches in the order of the inputs, unreadable ones included; at most three are in memory.
    """

    def read(source: Input) -> Picture:
        loaded, content = load_with_content(source, square)
        if loaded.pixels is None:
            return Picture(loaded=loaded)
        shown, shape = _decoder()(content)
        height, width = shape.numpy()
        return Picture(loaded=loaded, shown=shown.numpy(), height=int(height), width=int(width))

    batch: list[Picture] = []
    for picture in read_ahead(inputs, read, ahead=2 * BATCH, num_threads=min(MAX_THREADS, count_cores())):
        batch.append(picture)
        if len(batch) == BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


@cache
def _decoder() -> Callable[[bytes], tuple[Tensor, Tensor]]:
    import tensorflow as tf

    from pipelines.images.decode import decode_contained

    signature = [tf.TensorSpec([], tf.string)]
    function = tf.function(lambda content: decode_contained(content, SHOWN), input_signature=signature, autograph=False)
    return lambda content: function(tf.constant(content))
