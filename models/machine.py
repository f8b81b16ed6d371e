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


def gpu_names() -> tuple[str, ...]:
    """The names of NVIDIA GPUs, as their driver tells; empty without one."""
    names = []
    for file in sorted(_NVIDIA.glob("*/information")):
        lines = file.read_text(encoding="utf-8", errors="replace").splitlines()
        names += [line.split(":", 1)[1].strip() for line in lines if line.startswith("Model:")]
    return tuple(names)
