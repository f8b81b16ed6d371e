"""Writes events for TensorBoard while a stage is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pipelines.runs.training_records import EpochRecord

EVENTS = "tensorboard"


@contextmanager
def watcher(folder: Path, *, tensorboard: bool) -> Iterator[Callable[[EpochRecord], None] | None]:
    """Give a function that writes TensorBoard events from the record of each epoch of a stage; None where unwanted.

    Args:
        folder: of the run; events go into `tensorboard/training` and `tensorboard/validation` there, so that
            TensorBoard draws both in one diagram, each stage under its own name.
        tensorboard: whether they are wanted.
    """
    if not tensorboard:
        yield None
        return
    import tensorflow as tf

    # What `tf.summary.scalar` writes; that function needs TensorBoard to be installed, which only reading does.
    plugin = tf.compat.v1.SummaryMetadata.PluginData(plugin_name="scalars")
    metadata = tf.compat.v1.SummaryMetadata(plugin_data=plugin, data_class=1)

    def scalar(name: str, value: float) -> None:
        tf.summary.write(name, tf.constant(value, tf.float32), metadata=metadata)

    writers = {part: tf.summary.create_file_writer(str(folder / EVENTS / part)) for part in ("training", "validation")}

    def write(record: EpochRecord) -> None:
        measured = record.measured()
        for part, prefix in (("training", ""), ("validation", "validation_")):
            with writers[part].as_default(step=record.epoch):
                for name in ("loss", "accuracy"):
                    if prefix + name in measured:
                        scalar(f"{record.stage}/{name}", float(measured[prefix + name]))
                if part == "training" and record.learning_rate is not None:
                    scalar(f"{record.stage}/learning rate", record.learning_rate)
            writers[part].flush()

    try:
        yield write
    finally:
        for writer in writers.values():
            writer.close()
