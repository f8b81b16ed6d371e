"""Keeps the log lines of TensorFlow, Pillow and other native code off the terminal; results do not change.

Importing TensorFlow 2.21 writes lines to descriptor 2 from C++ that no variable turns off (except the one that turns
oneDNN off, which changes results), and libjpeg and libtiff write a line for a broken image. Therefore Python's stderr
gets a descriptor of its own, and descriptor 2, which native code keeps, is redirected when one of NOISY_PACKAGES is
first imported, by any module: a finder in front of `sys.meta_path` notices it. With `-v`, and when the import fails,
native lines are shown.

The same finder keeps the import short. Keras imports scikit-learn and pyplot for wrappers and pictures that headstart
does not use, and does without where they are missing: a third of the time (1.8 of 5.9 s of one core).
"""

from __future__ import annotations

import gc
import importlib.machinery
import importlib.util
import os
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager, nullcontext
from types import ModuleType
from typing import TYPE_CHECKING, Any, BinaryIO, cast

if TYPE_CHECKING:
    import importlib.abc  # imports importlib.resources: 4 ms of every start

# Package -> the least level of what it logs that is shown. What Pillow logs as an error, it raises too.
NOISY_PACKAGES = {"tensorflow": "ERROR", "keras": "WARNING", "PIL": "CRITICAL", "matplotlib": "ERROR"}
# What TensorFlow and Keras import beside what headstart needs of them; both do without where it is missing.
UNUSED_BY_KERAS = frozenset({"sklearn", "matplotlib"})
SLOW_PACKAGES = ("tensorflow", "keras")


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


def quiet_tensorflow(
    *, verbose: bool = False, announce: Callable[[str], AbstractContextManager[object]] = nullcontext
) -> None:
    """Make every later import of the noisy packages quiet, in this process and in those it starts.

    Args:
        verbose: whether to show native lines: those of the import after it, later ones as they come.
        announce: gives a context that shows what is under way while TensorFlow is imported, which takes seconds.
    """
    # Memory of a GPU is allocated as it is needed, because other processes may use the same GPU.
    os.environ.setdefault("TF_FORCE_GPU_ALLOW_GROWTH", "true")
    if not verbose:
        # 3 hides all but fatal lines: what TensorFlow logs as an error, it raises in Python as well.
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    if not any(isinstance(finder, _QuietFinder) for finder in sys.meta_path):
        sys.meta_path.insert(0, _QuietFinder(verbose, announce))


class _QuietFinder:
    """A finder of `sys.meta_path`: finds the noisy packages before all others, and gives them a quiet loader."""

    def __init__(self, verbose: bool, announce: Callable[[str], AbstractContextManager[object]]) -> None:
        self.verbose, self._announce = verbose, announce
        self._thread = threading.local()  # Several threads may import at once.

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> importlib.machinery.ModuleSpec | None:
        if fullname in UNUSED_BY_KERAS and self._is_importing_slowly:
            raise ModuleNotFoundError(f"headstart does not need `{fullname}` here", name=fullname)
        if fullname not in NOISY_PACKAGES or getattr(self._thread, "is_searching", False):
            return None
        self._thread.is_searching = True
        try:
            spec = importlib.util.find_spec(fullname)
        finally:
            self._thread.is_searching = False
        if spec is not None and spec.loader is not None:
            spec.loader = cast("importlib.abc.Loader", _QuietLoader(spec.loader, self))
        return spec

    @property
    def _is_importing_slowly(self) -> bool:
        return getattr(self._thread, "is_importing_slowly", False)

    @contextmanager
    def importing(self, name: str) -> Iterator[None]:
        """The surroundings of the import of a noisy package."""
        with ExitStack() as around:
            if name in SLOW_PACKAGES and not self._is_importing_slowly:
                around.enter_context(self._announce("loading TensorFlow"))
                around.enter_context(_without_collections())
                self._thread.is_importing_slowly = True
                around.callback(setattr, self._thread, "is_importing_slowly", False)
            around.enter_context(_DESCRIPTOR_2.collected(show=self.verbose))
            yield


class _QuietLoader:
    """The module's own loader, with descriptor 2 redirected while it runs."""

    def __init__(self, loader: importlib.abc.Loader, finder: _QuietFinder) -> None:
        self._loader, self._finder = loader, finder

    def __getattr__(self, name: str) -> Any:  # any attribute of a loader
        return getattr(self._loader, name)

    def create_module(self, spec: importlib.machinery.ModuleSpec) -> ModuleType | None:
        return self._loader.create_module(spec)

    def exec_module(self, module: ModuleType) -> None:
        module.__loader__ = self._loader  # Code that looks for the module's files later needs its own loader.
        if module.__spec__ is not None:
            module.__spec__.loader = self._loader
        if not self._finder.verbose:
            import logging

            logging.getLogger(module.__name__).setLevel(NOISY_PACKAGES[module.__name__])
        with self._finder.importing(module.__name__):
            self._loader.exec_module(module)
        if module.__name__ == "keras":
            module.config.disable_interactive_logging()  # Keras would print its bars to stdout.


class _Descriptor2:
    """Collects what native code writes to descriptor 2 while packages are imported, by one or several threads."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._num_imports, self._is_shown = 0, False
        self._original = -1
        self._collected: BinaryIO | None = None

    @contextmanager
    def collected(self, *, show: bool) -> Iterator[None]:
        """Collect while the block runs; after the last block show it, or leave the descriptor redirected for good.

        Args:
            show: whether to show it; it is shown too where the block raises.
        """
        self._begin()
        try:
            yield
        except Exception:  # Only to notice that the import failed; it is raised again.
            show = True
            raise
        finally:
            self._end(show)

    def _begin(self) -> None:
        import tempfile

        with self._lock:
            self._num_imports += 1
            if self._num_imports == 1:
                sys.stderr.flush()
                self._original, self._is_shown = os.dup(2), False
                self._collected = tempfile.TemporaryFile()  # noqa: SIM115  open until the last import ends
                os.dup2(self._collected.fileno(), 2)

    def _end(self, show: bool) -> None:
        with self._lock:
            self._num_imports -= 1
            self._is_shown |= show
            if self._num_imports or self._collected is None:
                return
            os.dup2(self._original, 2)
            os.close(self._original)
            with self._collected as collected:
                if self._is_shown:
                    collected.seek(0)
                    sys.stderr.write(collected.read().decode("utf-8", "backslashreplace"))
                elif _is_separate():
                    devnull = os.open(os.devnull, os.O_WRONLY)
                    os.dup2(devnull, 2)
                    os.close(devnull)


_DESCRIPTOR_2 = _Descriptor2()


@contextmanager
def _without_collections() -> Iterator[None]:
    """No garbage collection while the block makes objects that stay, and none of these objects later (0.5 s)."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if was_enabled:
            gc.enable()


def _is_separate() -> bool:
    """Whether `separate_stderr` ran; where it did not, as in tests, descriptor 2 is still Python's."""
    return sys.__stderr__ is not None and sys.__stderr__.fileno() != 2
