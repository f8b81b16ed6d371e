"""Imports TensorFlow and builds the backbone in a thread, while the main thread checks the images.

The import keeps one core busy for seconds. The check reads, hashes and, once TensorFlow is there, decodes outside of
Python's lock, so that the backbone is built meanwhile.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from importlib import import_module
from threading import Thread
from typing import TYPE_CHECKING

from pipelines.training.backbone import BackboneSource
from pipelines.training.plan import TrainingNames

if TYPE_CHECKING:
    import keras

    from pipelines.runs.spec import TrainSpec
    from pipelines.system.progress import Reporter

# What every training needs. TensorFlow first: it imports Keras, and Keras imports it. A thread that begins with Keras
# and one that begins with TensorFlow would wait for each other, and Python would give one of them half a module.
LIBRARIES = ("tensorflow", "keras", "matplotlib.figure")


@contextmanager
def preparing(names: TrainingNames, spec: TrainSpec, reporter: Reporter) -> Iterator[TrainingNames]:
    """Prepare a training while the block runs, and until that is done; where the block raises, nobody waits for it.

    Nothing in the block may import Keras before TensorFlow, for the reason at `LIBRARIES`.

    Args:
        names: of the training.
        spec: its options.
        reporter: says what is waited for.

    Returns:
        The names, with a backbone that is being built where features are cached: they come from it in float32,
        whatever comes later. An error of building it is raised where the backbone is first used.
    """
    model: Future[keras.Model] | None = None
    if spec.data.cache and not names.source.is_untrained and names.source.ahead is None:
        model = Future()
    # Not from a pool: an error in the block ends the command at once, not after the import.
    thread = Thread(target=_prepare, args=(names.source, spec.network.image_size, model), name="prepare", daemon=True)
    # The block and the thread both set filters for a while, which are the process's, and end in any order.
    with warnings.catch_warnings():
        thread.start()
        yield names if model is None else replace(names, source=replace(names.source, ahead=model))
        with reporter.task("building backbone", None) if thread.is_alive() else nullcontext():
            thread.join()


def with_known_blocks(names: TrainingNames, spec: TrainSpec, reporter: Reporter) -> TrainingNames:
    """Refuse blocks that the backbone lacks, before its images are opened and its run has a folder.

    Where no table lists the blocks, as for a run or a file, it is built for that; else nothing happens here.

    Args:
        names: of the training.
        spec: its options.
        reporter: says what is waited for.

    Returns:
        The names, with the backbone where it was built and is used as it is.

    Raises:
        UserError: there are no such blocks; the weights do not fit.
    """
    blocks, source = spec.fine_tune.blocks, names.source
    if blocks in (None, "all") or source.is_untrained or source.block_names():
        return names
    with reporter.task("listing blocks", None):
        for name in LIBRARIES:
            import_module(name)
        from models.blocks import require_blocks

        model: Future[keras.Model] = Future()
        model.set_result(source.build(spec.network.image_size))
        require_blocks(model.result(), blocks)
    return replace(names, source=replace(source, ahead=model)) if spec.data.cache else names


def _prepare(source: BackboneSource, image_size: int | None, model: Future[keras.Model] | None) -> None:
    try:
        for name in LIBRARIES:
            import_module(name)
        if model is not None:
            model.set_result(source.build(image_size))
    except BaseException as error:  # A library that does not import, or weights that do not fit: it is raised again.
        if model is not None:
            model.set_exception(error)
