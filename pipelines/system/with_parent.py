"""Runs a Python program that the system kills when the process that started it ends; a script.

    python -P with_parent.py PARENT PROGRAM [ARGUMENT...]

PARENT is the process id of the starter, PROGRAM the name of a module or the path of a file that ends in `.py`. It
imports nothing of headstart, and acts before PROGRAM imports anything, which may take many seconds.
"""

from __future__ import annotations

import ctypes
import os
import runpy
import signal
import sys

PR_SET_PDEATHSIG = 1  # prctl(2)


def main() -> None:
    """Bind this process to its parent, then run the program as the main one."""
    parent, *sys.argv = sys.argv[1:]
    libc = ctypes.CDLL(None)
    if hasattr(libc, "prctl"):  # Linux
        libc.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != int(parent):  # it ended before the line above
        os._exit(1)
    program = sys.argv[0]
    if program.endswith(".py"):
        runpy.run_path(program, run_name="__main__")
    else:
        runpy.run_module(program, run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
