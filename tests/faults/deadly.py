"""Runs headstart's command line and kills it before the first file operation whose path contains a text.

python -m tests.faults.deadly TEXT train photos/ ...
"""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from typing import Any

from app.__main__ import main

OPERATIONS = ("replace", "rename", "unlink", "rmdir")


def deadly(operation: Callable[..., Any], text: str) -> Callable[..., Any]:
    """The operation, or death where one of its paths contains `text`."""

    def guarded(*arguments: Any, **options: Any) -> Any:
        if any(text in os.fsdecode(path) for path in arguments if isinstance(path, (str, bytes, os.PathLike))):
            os.kill(os.getpid(), signal.SIGKILL)
        return operation(*arguments, **options)

    return guarded


if __name__ == "__main__":
    text = sys.argv.pop(1)
    for name in OPERATIONS:
        setattr(os, name, deadly(getattr(os, name), text))
    sys.exit(main())
