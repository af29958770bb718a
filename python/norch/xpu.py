"""torch.xpu: Intel's GPUs, which norch does not use: there are none. What needs one raises AssertionError, as PyTorch
without them does."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "current_device",
    "device_count",
    "empty_cache",
    "get_device_name",
    "get_device_properties",
    "is_available",
    "is_bf16_supported",
    "is_initialized",
    "manual_seed",
    "manual_seed_all",
    "max_memory_allocated",
    "max_memory_reserved",
    "memory_allocated",
    "memory_reserved",
    "set_device",
    "synchronize",
]


def is_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


is_initialized = is_bf16_supported = is_available


def device_count() -> int:
    """0."""
    return 0


def empty_cache() -> None:
    """Does nothing, as in PyTorch before the first use of such a GPU."""


def manual_seed(seed: int) -> None:
    """Does nothing: there is no generator to seed."""


manual_seed_all = manual_seed


def memory_allocated(device: Any = None) -> int:
    """0."""
    return 0


max_memory_allocated = memory_reserved = max_memory_reserved = memory_allocated


def _none() -> NoReturn:
    raise AssertionError("Torch not compiled with XPU enabled: norch runs on CPUs and CUDA GPUs")


def synchronize(device: Any = None) -> None:
    """AssertionError: there is no such device to wait for."""
    _none()


def current_device() -> int:
    """AssertionError: there is no such device."""
    _none()


def set_device(device: Any) -> None:
    """AssertionError: there is no such device."""
    _none()


def get_device_properties(device: Any = None) -> Any:
    """AssertionError: there is no such device."""
    _none()


get_device_name = get_device_properties
