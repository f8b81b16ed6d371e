"""Names the processor and the GPUs of this machine, and what the processor can do."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path

_CPUINFO = Path("/proc/cpuinfo")
_NVIDIA = Path("/proc/driver/nvidia/gpus")
_DEVICES = Path("/dev")
# The device files of GPU drivers: of NVIDIA, of Windows' subsystem for Linux, of AMD.
_GPU_DEVICES = ("nvidia*", "dxg", "kfd")
_MEMORY = Path("/proc/meminfo")
_CONTAINER = Path("/sys/fs/cgroup")  # of the container that this process is in, where there is one


def has_bfloat16_units() -> bool:
    """Whether the processor multiplies bfloat16 by itself (AVX512_BF16 or AMX); where nobody says so, it does not."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return False
    flags = next((line.split(":", 1)[1].split() for line in lines if line.startswith("flags") and ":" in line), [])
    return not {"avx512_bf16", "amx_bf16"}.isdisjoint(flags)


def processor_name() -> str:
    """The processor's name and number of usable cores, as far as the system tells."""
    try:
        lines = _CPUINFO.read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        lines = []
    names = [line.split(":", 1)[1].strip() for line in lines if line.startswith("model name") and ":" in line]
    return f"{names[0] if names else platform.processor() or platform.machine()} x {count_cores()}"


def count_cores() -> int:
    """How many cores this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


def may_have_gpu() -> bool:
    """Whether a GPU's driver has a device file here; without one TensorFlow finds no GPU. True where nobody knows."""
    if not sys.platform.startswith("linux"):
        return True
    return any(next(_DEVICES.glob(pattern), None) for pattern in _GPU_DEVICES)


def free_memory() -> int | None:
    """Bytes of memory that this process may still take without swapping; None where the system is not Linux."""
    try:
        lines = _MEMORY.read_text(encoding="ascii").splitlines()
        free = next(1024 * int(line.split()[1]) for line in lines if line.startswith("MemAvailable:"))
    except (OSError, StopIteration):
        return None
    try:
        limit, used = ((_CONTAINER / name).read_text(encoding="ascii") for name in ("memory.max", "memory.current"))
        # Cached files count as used, and make room when memory is needed.
        statistics = dict(line.split() for line in (_CONTAINER / "memory.stat").read_text("ascii").splitlines())
        return min(free, int(limit) - int(used) + int(statistics["inactive_file"]))
    except (OSError, ValueError, KeyError):  # no container, one without a limit (`max`), or cgroups of version 1
        return free


def gpu_names() -> tuple[str, ...]:
    """The names of NVIDIA GPUs, as their driver tells; empty without one."""
    names = []
    for file in sorted(_NVIDIA.glob("*/information")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
    return tuple(names)
