"""Answer from an export as a stranger would: run as a script, in a process where headstart cannot be imported.

    python -P reload_export.py FOLDER

FOLDER holds `ask.json` (`format`, `path`, `own`: package names to hide), `files/*` (contents of images, in order of
their names) and `pixels.npy` (the same decoded and resized). What the export says goes to `answers.npz`: for each way
to ask it, probabilities, and where it gives them, classes.
"""

from __future__ import annotations

import importlib.abc
import json
import os
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")


# On the processor, as what it is compared with: a GPU rounds otherwise, and its memory may be taken.
os.environ["CUDA_VISIBLE_DEVICES"] = "-1"


class Hidden(importlib.abc.MetaPathFinder):
    """Makes packages impossible to import, however they are installed."""

    def __init__(self, names: Sequence[str]) -> None:
        self.names = frozenset(names)

    def find_spec(self, fullname: str, path: Any, target: Any = None) -> None:
        """Refuse the hidden packages; leave the rest to others."""
        if fullname.partition(".")[0] in self.names:
            raise ModuleNotFoundError(f"No module named {fullname!r}", name=fullname)


def main(folder: Path) -> None:
    """Load the export and ask it in every way it offers."""
    ask = json.loads((folder / "ask.json").read_text(encoding="utf-8"))
    sys.meta_path.insert(0, Hidden(ask["own"]))
    for name in ask["own"]:
        _require_hidden(name)
    import numpy as np

    contents = [each.read_bytes() for each in sorted((folder / "files").iterdir())]
    pixels = np.load(folder / "pixels.npy")
    answers = READERS[ask["format"]](ask["path"], contents, pixels)
    np.savez(folder / "answers.npz", **answers)


def _require_hidden(name: str) -> None:
    try:
        __import__(name)
    except ModuleNotFoundError:
        return
    _fail(f"`{name}` can be imported")


def _savedmodel(path: str, contents: list[bytes], pixels: Any) -> dict[str, Any]:
    import tensorflow as tf

    signatures = tf.saved_model.load(path).signatures
    found = signatures["serving_default"](image_bytes=tf.constant(contents))
    given = signatures["serve_images"](images=tf.constant(pixels))
    return {
        "probabilities of files": found["probabilities"].numpy(),
        "classes of files": found["class"].numpy().astype(bytes),
        "class ids of files": found["class_id"].numpy(),
        "probabilities of pixels": given["probabilities"].numpy(),
    }


def _keras(path: str, contents: list[bytes], pixels: Any) -> dict[str, Any]:
    import keras

    model = keras.models.load_model(path, compile=False)
    return {"probabilities of pixels": model.predict_on_batch(pixels)}


READERS: dict[str, Callable[[str, list[bytes], Any], dict[str, Any]]] = {"savedmodel": _savedmodel, "keras": _keras}


def _fail(reason: str) -> NoReturn:
    sys.stderr.write(reason + "\n")
    raise SystemExit(1)


if __name__ == "__main__":
    main(Path(sys.argv[1]))
