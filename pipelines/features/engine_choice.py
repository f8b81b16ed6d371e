"""Compiles the frozen base with the engine that this machine remembers for it, or with the fastest."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from models.engines.choices import read_choice, write_choice
from models.errors import UserError
from pipelines.features.cached import BaseKey
from pipelines.runs.examples import Example
from pipelines.system.cache import cache_folder
from pipelines.system.files import write_json
from pipelines.system.progress import Reporter

if TYPE_CHECKING:
    import keras

    from models.engines.compiled import CompiledBase
    from models.engines.records import EngineChoice

CHOICES_FILE = "chosen-engines.json"
SAMPLE_IMAGES = 32


@dataclass(frozen=True, slots=True, kw_only=True)
class BaseToCompile:
    """A frozen base that is compiled when its features are needed.

    Attributes:
        key: of its features in the cache.
        build: makes the model pixels (batch, size, size, 3) -> features (batch, features).
        engine: that is asked for, or `auto`.
        reporter: shows what is chosen.
    """

    key: BaseKey
    build: Callable[[], keras.Model]
    engine: str
    reporter: Reporter

    @property
    def choices_file(self) -> Path:
        """Where this machine's choices are remembered."""
        return self.key.folder / CHOICES_FILE

    def remembered(self, num_images: int) -> EngineChoice | None:
        """The engine that was chosen on this machine before; None for none that holds for so many images."""
        return read_choice(self.choices_file, self.engine, num_images)

    def remember(self, choice: EngineChoice) -> None:
        """Keep a choice for the next training."""
        if reason := write_choice(self.choices_file, self.engine, choice):
            self.reporter.note(reason)

    def compile(self, examples: Sequence[Example], num_images: int) -> CompiledBase:
        """Compile it with the fastest engine that gives the same features, measured on the first images."""
        from models.engines.compiled import compile_base

        compiled = compile_base(self.build(), self._sample(examples), engine=self.engine, num_images=num_images)
        self._make_folder()
        write_json(self.key.folder / "base.json", asdict(self.key))
        self.remember(compiled.choice)
        return self._reported(compiled)

    def compile_chosen(self, examples: Sequence[Example], choice: EngineChoice) -> CompiledBase:
        """Compile it with the engine and the precision that its cached features were computed with."""
        from models.engines.compiled import compile_chosen

        compiled = compile_chosen(self.build(), self._sample(examples), choice)
        return self._reported(replace(compiled, choice=choice))

    def _sample(self, examples: Sequence[Example]) -> np.ndarray[tuple[int, ...], np.dtype[np.float32]]:
        from models.engines.gpu import grow_memory
        from pipelines.images.batches import view_batches

        grow_memory()  # Before anything is on the GPU.
        views = [(example, 0) for example in examples[:SAMPLE_IMAGES]]
        return np.asarray(next(iter(view_batches(views, size=self.key.image_size, batch=SAMPLE_IMAGES))), np.float32)

    def _reported(self, compiled: CompiledBase) -> CompiledBase:
        for line in compiled.lines:
            self.reporter.note(line)
        return compiled

    def _make_folder(self) -> None:
        try:
            self.key.folder.mkdir(parents=True, exist_ok=True)
        except OSError as error:
            raise UserError(
                f"the cache folder `{cache_folder()}` cannot be written: {error.strerror}",
                "set HEADSTART_CACHE to a folder that you can write to, or train with --no-cache",
            ) from error
