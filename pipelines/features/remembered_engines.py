"""Remembers which engine was chosen for a base, on each machine with its versions, in a small JSON file."""

from __future__ import annotations

import hashlib
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeAlias

from models.engines.records import EngineChoice
from models.engines.table import ENGINES
from models.machine import gpu_names, has_bfloat16_units, processor_name
from pipelines.system.files import write_json
from pipelines.system.records import DamagedRecord, as_record, read_plain
from pipelines.system.versions import installed_version

CHOICES_FILE = "chosen-engines.json"
# Machine -> engine asked for -> choice.
Choices: TypeAlias = dict[str, dict[str, EngineChoice]]
# A choice for a few images left out what was not worth building for them; for so many times as many it is made anew.
_GROWN = 2
_PACKAGES = ("tensorflow", "keras", "openvino", "headstart")


def machine_key() -> str:
    """A short name of this machine and of the versions on it: the fastest engine of another may be missing here."""
    parts = (processor_name(), has_bfloat16_units(), gpu_names(), [installed_version(name) for name in _PACKAGES])
    return hashlib.sha256(repr(parts).encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class RememberedEngines:
    """The choices of engine for one frozen base.

    Attributes:
        file: that holds them.
    """

    file: Path

    def read(self, asked: str, num_images: int | None) -> tuple[EngineChoice | None, str]:
        """The engine that was chosen on this machine.

        Args:
            asked: the engine that was asked for, or `auto`.
            num_images: how many images there are to compute; None for very many.

        Returns:
            The choice, or None where there is none that holds for so many images and runs here; and in words why a
            remembered choice is not used, or an empty string.
        """
        choices = self._read()
        if choices is None:
            return None, f"measuring engines again: `{self.file}` cannot be read"
        choice = choices.get(machine_key(), {}).get(asked)
        if choice is None:
            is_elsewhere = any(asked in of_machine for of_machine in choices.values())
            reason = "the engine was chosen on another machine, or with other versions"
            return None, f"measuring engines again: {reason}" if is_elsewhere else ""
        engine = ENGINES.get(choice.engine)
        if engine is None or choice.precision not in engine.precisions():
            return None, f"measuring engines again: {choice.engine} {choice.precision} does not run here"
        limit = None if choice.num_images is None else _GROWN * choice.num_images
        if limit is not None and (num_images is None or num_images > limit):
            return None, ""
        return choice, ""

    def fastest(self) -> float | None:
        """Images/s of the fastest engine that was chosen on this machine; None where none was measured."""
        choices = (self._read() or {}).get(machine_key(), {}).values()
        rates = [choice.report.images_per_second.get(f"{choice.engine}/{choice.precision}", 0.0) for choice in choices]
        return max(filter(None, rates), default=None)

    def write(self, asked: str, choice: EngineChoice) -> str:
        """Remember a choice; return why that was not possible, or an empty string."""
        choices = self._read() or {}
        choices.setdefault(machine_key(), {})[asked] = choice
        values = {
            machine: {name: asdict(of_name) for name, of_name in of_machine.items()}
            for machine, of_machine in choices.items()
        }
        try:
            self.file.parent.mkdir(parents=True, exist_ok=True)
            write_json(self.file, values)
        except OSError as error:
            return f"the choice of engine is not remembered: `{self.file}` cannot be written: {error.strerror}"
        return ""

    def _read(self) -> Choices | None:
        """All choices; None where the file is damaged or closed to us."""
        try:
            return as_record(read_plain(self.file), Choices)
        except FileNotFoundError:
            return {}
        except (OSError, DamagedRecord):
            return None
