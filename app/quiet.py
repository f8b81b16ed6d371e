"""Keeps TensorFlow's chatter off the terminal without touching what it computes.

Importing TensorFlow 2.21 writes lines to descriptor 2 from C++ that no variable turns off (but the one that turns
oneDNN off, which changes results), and libjpeg writes one for each broken picture. So Python's stderr gets a descriptor
of its own, and descriptor 2, which is left to native code, is turned aside when TensorFlow or Keras is imported. Who
imports them, and when, does not matter: a finder in front of `sys.meta_path` sees it. With `-v` native lines are let
through; those of an import that fails are shown.
"""

from __future__ import annotations

import importlib.abc
import importlib.machinery
import importlib.util
import os
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any

NOISY = ("tensorflow", "keras")


def separate_stderr() -> None:
    """Move Python's stderr from descriptor 2 to one of its own, which reaches the same place.

    What kills the process in native code (its last words go to descriptor 2) leaves a Python traceback on it.
    """
    import faulthandler

    own = open(os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace")  # noqa: SIM115
    sys.stderr = sys.__stderr__ = own  # type: ignore[misc]
    faulthandler.enable(own)


def quiet_tensorflow(*, verbose: bool = False) -> None:
    """Make every later import of TensorFlow and Keras quiet, in this process and in those it starts.

    Args:
        verbose: let native lines through: those of the import after it, later ones as they come.
    """
    # Memory of a GPU is taken as it is needed, by whatever touches the GPU first: others may be at work on it.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if not verbose:
        # 3 hides everything but what ends the process: what TensorFlow logs as an error, it raises in Python as well.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder(verbose))


class _QuietFinder(importlib.abc.MetaPathFinder):
    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in NOISY or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = _QuietLoader(spec.loader, self._verbose)
        return spec


class _QuietLoader(importlib.abc.Loader):
    """The module's own loader, with descriptor 2 turned aside while it runs."""

    def __init__(self, loader: importlib.abc.Loader, verbose: bool) -> None:
        self._loader, self._verbose = loader, verbose

    def __getattr__(self, name: str) -> Any:
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader  # what looks for the module's files later finds its own loader again
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        with _descriptor_2_aside(show=self._verbose):
            self._loader.exec_module(module)
        if module.__name__ == "keras":
            module.config.disable_interactive_logging()  # else Keras prints its bars to stdout
        elif not self._verbose:
            module.get_logger().setLevel("ERROR")


@contextmanager
def _descriptor_2_aside(*, show: bool) -> Iterator[None]:
    """Collect what native code writes to descriptor 2, then show it or leave the descriptor turned aside for good."""
    sys.stderr.flush()
    real = os.dup(2)
    with tempfile.TemporaryFile() as aside:
        os.dup2(aside.fileno(), 2)
        try:
            yield
        except Exception:
            show = True
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
            if show:
                aside.seek(0)
                sys.stderr.write(aside.read().decode("utf-8", "backslashreplace"))
            elif _is_separate():
                nowhere = os.open(os.devnull, os.O_WRONLY)
                os.dup2(nowhere, 2)
                os.close(nowhere)


def _is_separate() -> bool:
    """Whether `separate_stderr` ran: in a test's process descriptor 2 is not ours to close."""
    return sys.__stderr__ is not None and sys.__stderr__.fileno() != 2
