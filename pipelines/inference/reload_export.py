"""Loads an export and predicts with it in a process that cannot import headstart; a script, started by `parity`.

    python -P reload_export.py FOLDER

FOLDER holds `request.json` (`path` of the export, `reader`: file and function that read it, `hidden`: packages that
cannot be imported), `files/*` (contents of images, in order of their names) and `pixels.npy` (the same images as
pixels). The outputs of the export go to `outputs.npz`, by name.
"""

from __future__ import annotations

import importlib.abc
import importlib.util
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from types import ModuleType
from typing import Any, NoReturn, TypeAlias

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
# On the processor, as the model that it is compared with: a GPU rounds differently, and its memory may be taken.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"

Array: TypeAlias = Any  # NumPy is imported late, and this file has no types of its own
Reader: TypeAlias = Callable[[str, Sequence[bytes], Array], dict[str, Array]]


class HiddenPackages(importlib.abc.MetaPathFinder):
    """Makes packages impossible to import, however they are installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None) -> None:
        """Refuse the hidden packages; leave the others to the next finder."""
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def main(folder: Path) -> None:
    """Load the export and predict in every way that it offers."""
    request = json.loads((folder / "request.json").read_text(encoding="utf-8"))
    sys.meta_path.insert(0, HiddenPackages(request["hidden"]))
    for name in request["hidden"]:
        _require_hidden(name)
    import numpy as np

    read = _load_reader(*request["reader"])
    contents = [path.read_bytes() for path in sorted((folder / "files").iterdir())]
    pixels = np.load(folder / "pixels.npy")
    np.savez(folder / "outputs.npz", **read(request["path"], contents, pixels))


def _load_reader(file: str, function: str) -> Reader:
    """A function of a file that is loaded by its path, outside any package."""
    spec = importlib.util.spec_from_file_location("export_reader", file)
    if spec is None or spec.loader is None:
        _fail(f"`{file}` is not a Python file")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their module up there
    spec.loader.exec_module(module)
    reader: Reader = getattr(module, function)
    return reader


def _require_hidden(name: str) -> None:
    try:
        __import__(name)
    except ModuleNotFoundError:
        return
    _fail(f"`{name}` can be imported")


def _fail(reason: str) -> NoReturn:
    sys.stderr.write(reason + "\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
