"""Runs the command line as `python -m headstart`, once it is certain that `app` is headstart's own package.

The folder that a command is typed in comes first where Python looks for modules: a script `app.py` that lies there
hides headstart's package `app`.
"""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path


def main() -> int:
    """Run `headstart` with the process's arguments and return its exit code: 1 where another `app` is in the way."""
    expected = Path(__file__).resolve().parent / "app" / "__init__.py"
    spec = importlib.util.find_spec("app")
    if spec is None or spec.origin is None or Path(spec.origin).resolve() != expected:
        there = f"`{spec.origin or list(spec.submodule_search_locations or ())}` is" if spec else "nothing is"
        print(
            f"error: headstart's package `app` is hidden: {there} found in place of `{expected}`\n"
            "hint: type the command in another folder, rename that file, or take its folder off PYTHONPATH",
            file=sys.stderr,
        )
        return 1
    from app.__main__ import main as run

    return run()


if __name__ == "__main__":
    sys.exit(main())
