"""Quantities in words."""

from __future__ import annotations


def size_of(size: float) -> str:
    """Bytes in powers of 1,000, as `4.2 MB`."""
    for unit in ("B", "kB", "MB"):
        if size < 1000:
            return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} GB"
