"""Compiles a frozen base with the engine that this machine remembers for it, or with the fastest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.engines.table import ENGINES
from models.errors import UserError, first_line
from models.machine_errors import full_disk
from pipelines.features.cached import BaseKey
from pipelines.features.remembered_engines import CHOICES_FILE, RememberedEngines
from pipelines.runs.examples import Example
from pipelines.runs.ranges import PositiveInt
from pipelines.system.cache import cache_folder
from pipelines.system.files import write_json
from pipelines.system.progress import Reporter
from pipelines.system.records import DamagedRecord, as_record, read_plain

if TYPE_CHECKING:
    import keras

    from models.arrays import Pixels
    from models.engines.compiled import CompiledBase
    from models.engines.records import EngineChoice

SAMPLE_IMAGES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class _Description:
    """What `base.json` says beside the key; nothing in caches of before 2026-11-24."""

    num_features: PositiveInt | None = None
    num_last: PositiveInt | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenBase:
    """A frozen base, which is built and compiled only when the cache lacks features of it.

    Attributes:
        key: of its features in the cache.
        build: makes the model pixels (batch, size, size, 3) in [0, 255] -> features (batch, features).
        engine: a name in `models.engines.table.ENGINES`, or `auto` for the fastest that gives the same features.
        count_last: counts, of features of all levels, those of the last layer, which come first; needs the model.
        mirror: whether features are the mean of those of an image and of its mirror image; the cache has both.
    """

    key: BaseKey
    build: Callable[[], keras.Model]
    engine: str
    count_last: Callable[[], int] | None = None
    mirror: bool = False

    def recall_engine(self, num_images: int, reporter: Reporter) -> EngineChoice | None:
        """The engine that was chosen on this machine before; None where no choice holds for so many images."""
        choice, reason = self._memory.read(self.engine, num_images)
        if reason:
            reporter.note(reason)
        return choice

    def remember_engine(self, choice: EngineChoice, reporter: Reporter) -> None:
        """Keep a choice for the next training."""
        if reason := self._memory.write(self.engine, choice):
            reporter.note(reason)

    def compile(self, examples: Sequence[Example], num_images: int, reporter: Reporter) -> CompiledBase:
        """Compile the base with the engine that it asks for, measured on the first of `examples`.

        Raises:
            UserError: the engine cannot run here, or the cache folder cannot be written.
        """
        from models.engines.compiled import compile_base

        with reporter.task("measuring engines", None):
            model = self.build()
            compiled = compile_base(model, self._sample(examples), engine=self.engine, num_images=num_images)
        _make_folder(self.key)
        lengths = {"num_features": int(model.output_shape[-1])}
        if self.count_last is not None:
            lengths["num_last"] = self.count_last()
        write_json(self._description_file, {**asdict(self.key), **lengths})
        self.remember_engine(compiled.choice, reporter)
        return _reported(compiled, reporter)

    def compile_chosen(self, examples: Sequence[Example], choice: EngineChoice, reporter: Reporter) -> CompiledBase:
        """Compile the base with the engine and the precision that its cached features were computed with.

        Raises:
            UserError: the engine can no longer be built.
        """
        with reporter.task("compiling the base", None):
            model, sample = self.build(), self._sample(examples)
            compiled = self._compile_chosen(model, sample, choice)
        return _reported(compiled, reporter)

    def _compile_chosen(self, model: keras.Model, sample: Pixels, choice: EngineChoice) -> CompiledBase:
        from models.engines.compiled import compile_chosen

        try:
            return compile_chosen(model, sample, choice)
        except MemoryError:
            raise
        except Exception as error:  # A converter may raise anything.
            raise UserError(
                f"the engine {choice.engine} {choice.precision}, chosen before, fails: {first_line(error)}",
                f"delete `{self._memory.file}` to measure engines again, or choose `--engine keras`",
            ) from error

    def num_features(self) -> int | None:
        """The length of its features, as noted beside them; None where nothing (readable) is noted."""
        return self._description().num_features

    def num_last(self) -> int | None:
        """How many of its features of all levels are the last layer's, likewise."""
        return self._description().num_last

    def _description(self) -> _Description:
        try:
            return as_record(read_plain(self._description_file), _Description)
        except (OSError, DamagedRecord):
            return _Description()

    @property
    def _description_file(self) -> Path:
        return self.key.folder / "base.json"

    @property
    def _memory(self) -> RememberedEngines:
        return RememberedEngines(file=self.key.folder / CHOICES_FILE)

    def _sample(self, examples: Sequence[Example]) -> Pixels:
        from models.engines.gpu import grow_memory
        from pipelines.images.batches import view_batches
        from pipelines.images.unchanged import naming_changed

        grow_memory()  # Before anything is on the GPU.
        sample = examples[:SAMPLE_IMAGES]
        views = [(example, 0) for example in sample]
        with naming_changed(sample):
            (pixels,) = view_batches(views, square=self.key.square, batch=SAMPLE_IMAGES)
        return np.asarray(pixels, np.float32)


def engine_available(asked: str, reporter: Reporter) -> str:
    """The engine that a run was trained with; `auto`, with a note, where it cannot run on this machine."""
    engine = ENGINES.get(asked)
    if asked == "auto" or (engine is not None and engine.precisions()):
        return asked
    reason = engine.absent[0] if engine else f"unknown engine: `{asked}`"
    reporter.note(f"{reason}: measuring the others")
    return "auto"


def _make_folder(key: BaseKey) -> None:
    try:
        key.folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise full_disk(error, key.folder) or UserError(
            f"the cache folder `{cache_folder()}` cannot be written: {error.strerror}",
            "set HEADSTART_CACHE to a folder that you can write to, or train with --no-cache",
        ) from error


def _reported(compiled: CompiledBase, reporter: Reporter) -> CompiledBase:
    chosen, *reasons = compiled.lines
    reporter.note(chosen)
    for line in reasons:  # why other engines were not tried, or dropped: in run.json too
        reporter.detail(line)
    return compiled
