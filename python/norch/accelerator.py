"""The accelerator of this machine, whatever its kind: a CUDA GPU or none."""

from __future__ import annotations

from typing import Any

import norch
from norch import cuda
from norch.cuda import (
    current_stream,
    device_count,
    empty_cache,
    is_available,
    max_memory_allocated,
    max_memory_reserved,
    memory_allocated,
    memory_reserved,
    reset_peak_memory_stats,
    set_stream,
    synchronize,
)

__all__ = [
    "current_accelerator",
    "current_device_idx",
    "current_device_index",
    "current_stream",
    "device_count",
    "device_index",
    "empty_cache",
    "is_available",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "reset_peak_memory_stats",
    "set_device_idx",
    "set_device_index",
    "set_stream",
    "synchronize",
]


def current_accelerator(check_available: bool = False) -> norch.device | None:
    """The device type of this build's accelerator, device('cuda'), or None for a build without CUDA; with
    `check_available` also None where there is no usable GPU."""
    built = norch.version.cuda is not None
    return norch.device("cuda") if built and (is_available() or not check_available) else None


def current_device_index() -> int:
    """The index of the current GPU."""
    return cuda.current_device()


def set_device_index(device: Any) -> None:
    """Makes a GPU current: an index, a device or its name."""
    cuda.set_device(device)


current_device_idx, set_device_idx = current_device_index, set_device_index


class device_index(cuda.device):
    """`with norch.accelerator.device_index(1):` makes a GPU current; None leaves it as it is."""
