"""Batches that are asked for in page-locked memory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from ..collate import rebuild_mapping, rebuild_sequence

__all__ = ["pin_memory"]


def pin_memory(data: Any, device: Any = None) -> Any:
    """Calls `pin_memory()` of tensors and of batches that have such a method, inside of containers too."""
    if hasattr(data, "pin_memory"):
        return data.pin_memory()
    if isinstance(data, (str, bytes)):
        return data
    if isinstance(data, Mapping):
        return rebuild_mapping(data, {k: pin_memory(v) for k, v in data.items()})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return type(data)(*(pin_memory(d) for d in data))
    if isinstance(data, tuple):
        return type(data)(pin_memory(d) for d in data)
    if isinstance(data, Sequence):
        return rebuild_sequence(data, [pin_memory(d) for d in data])
    return data
