"""Keeps the log lines of TensorFlow, Pillow and other native code off the terminal; results do not change.

Importing TensorFlow 2.21 writes lines to descriptor 2 from C++ that no variable turns off (except the one that turns
oneDNN off, which changes results), and libjpeg and libtiff write a line for a broken image. Therefore Python's stderr
gets a descriptor of its own, and descriptor 2, which native code keeps, is redirected when one of NOISY_PACKAGES is
first imported, by any module: a finder in front of `sys.meta_path` notices it. With `-v`, and when the import fails,
native lines are shown.
"""

from __future__ import annotations

import importlib.machinery
import importlib.util
import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import TYPE_CHECKING, Any, cast

if TYPE_CHECKING:
    import importlib.abc  # imports importlib.resources: 4 ms of every start

# Package -> the least level of what it logs that is shown. What Pillow logs as an error, it raises too.
NOISY_PACKAGES = {"tensorflow": "ERROR", "keras": "WARNING", "PIL": "CRITICAL", "matplotlib": "ERROR"}


def separate_stderr() -> None:
    """Move Python's stderr from descriptor 2 to a descriptor of its own, which writes to the same place.

    A crash in native code, whose own message goes to descriptor 2, leaves a Python traceback there.
    """
    import faulthandler

    stderr = open(  # noqa: SIM115  open as long as the process
        os.dup(2), "w", buffering=1, encoding=sys.stderr.encoding, errors="backslashreplace"
    )
    # `__stderr__` too, because threads and warnings fall back to it; typeshed declares it final.
    sys.stderr = sys.__stderr__ = stderr  # type: ignore[misc]
    faulthandler.enable(stderr)


def quiet_tensorflow(*, verbose: bool = False) -> None:
    """Make every later import of the noisy packages quiet, in this process and in those it starts.

    Args:
        verbose: whether to show native lines: those of the import after it, later ones as they come.
    """
    # Memory of a GPU is allocated as it is needed, because other processes may use the same GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if not verbose:
        # 3 hides all but fatal lines: what TensorFlow logs as an error, it raises in Python as well.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder(verbose))


class _QuietFinder:
    """A finder of `sys.meta_path`: finds the noisy packages before all others, and gives them a quiet loader."""

    def __init__(self, verbose: bool) -> None:
        self._verbose = verbose
        self._searching = False

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname not in NOISY_PACKAGES or self._searching:
            return None
        self._searching = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = cast("importlib.abc.Loader", _QuietLoader(spec.loader, self._verbose))
        return spec


class _QuietLoader:
    """The module's own loader, with descriptor 2 redirected while it runs."""

    def __init__(self, loader: importlib.abc.Loader, verbose: bool) -> None:
        self._loader, self._verbose = loader, verbose

    def __getattr__(self, name: str) -> Any:  # any attribute of a loader
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader  # Code that looks for the module's files later needs its own loader.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if not self._verbose:
            import logging

            logging.getLogger(module.__name__).setLevel(NOISY_PACKAGES[module.__name__])
        with _redirected_descriptor_2(show=self._verbose):
            self._loader.exec_module(module)
        if module.__name__ == "keras":
            module.config.disable_interactive_logging()  # Keras would print its bars to stdout.


@contextmanager
def _redirected_descriptor_2(*, show: bool) -> Iterator[None]:
    """Collect what native code writes to descriptor 2; then show it, or leave the descriptor redirected for good.

    Args:
        show: whether to show it; it is shown too where the block raises.
    """
    import tempfile

    sys.stderr.flush()
    original = os.dup(2)
    with tempfile.TemporaryFile() as collected:
        os.dup2(collected.fileno(), 2)
        try:
            yield
        except Exception:  # Only to notice that the import failed; it is raised again.
            show = True
            raise
        finally:
            os.dup2(original, 2)
            os.close(original)
            if show:
                collected.seek(0)
                sys.stderr.write(collected.read().decode("utf-8", "backslashreplace"))
            elif _is_separate():
                devnull = os.open(os.devnull, os.O_WRONLY)
                os.dup2(devnull, 2)
                os.close(devnull)


def _is_separate() -> bool:
    """Whether `separate_stderr` ran; where it did not, as in tests, descriptor 2 is still Python's."""
    return sys.__stderr__ is not None and sys.__stderr__.fileno() != 2
