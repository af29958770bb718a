"""Figures about the memory of GPUs, in PyTorch's forms, from the counters of norch.cuda."""

from __future__ import annotations

from typing import Any

from norch._C._cuda import (
    empty_cache,
    max_memory_allocated,
    max_memory_reserved,
    mem_get_info,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
    set_per_process_memory_fraction,
)

__all__ = [
    "empty_cache",
    "max_memory_allocated",
    "max_memory_cached",
    "max_memory_reserved",
    "mem_get_info",
    "memory_allocated",
    "memory_cached",
    "memory_reserved",
    "memory_stats",
    "memory_summary",
    "reset_max_memory_allocated",
    "reset_max_memory_cached",
    "reset_peak_memory_stats",
    "set_per_process_memory_fraction",
]

memory_cached, max_memory_cached = memory_reserved, max_memory_reserved
reset_max_memory_allocated = reset_max_memory_cached = reset_peak_memory_stats


def memory_stats(device: Any = None) -> dict[str, int]:
    """Bytes in use and reserved, now and at most, by PyTorch's names: "allocated_bytes.all.current", ..."""
    return {
        "allocated_bytes.all.current": memory_allocated(device),
        "allocated_bytes.all.peak": max_memory_allocated(device),
        "reserved_bytes.all.current": memory_reserved(device),
        "reserved_bytes.all.peak": max_memory_reserved(device),
    }


def memory_summary(device: Any = None, abbreviated: bool = False) -> str:
    """memory_stats as a table."""
    rows = [("", "now", "at most")]
    for what, now, peak in (
        ("in use", memory_allocated(device), max_memory_allocated(device)),
        ("reserved", memory_reserved(device), max_memory_reserved(device)),
    ):
        rows.append((what, f"{now / 2**20:.1f} MiB", f"{peak / 2**20:.1f} MiB"))
    return "\n".join(f"{a:10}{b:>16}{c:>16}" for a, b, c in rows)
