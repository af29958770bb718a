"""torch.mps: Apple's GPUs, which norch does not use: there are none. What needs one raises RuntimeError, as in PyTorch."""

from __future__ import annotations

from typing import Any, NoReturn

__all__ = [
    "current_allocated_memory",
    "device_count",
    "driver_allocated_memory",
    "empty_cache",
    "get_rng_state",
    "is_available",
    "manual_seed",
    "recommended_max_memory",
    "seed",
    "set_per_process_memory_fraction",
    "set_rng_state",
    "synchronize",
]


def is_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


def device_count() -> int:
    """0."""
    return 0


def manual_seed(seed: int) -> None:
    """Does nothing: there is no generator to seed."""


def seed() -> None:
    """Does nothing: there is no generator to seed."""


def _none(what: str) -> NoReturn:
    raise RuntimeError(f"Cannot execute {what}() without MPS backend: norch runs on CPUs and CUDA GPUs")


def synchronize() -> None:
    """RuntimeError: there is no such device to wait for."""
    _none("deviceSynchronize")


def empty_cache() -> None:
    """RuntimeError: there is no such device."""
    _none("emptyCache")


def set_per_process_memory_fraction(fraction: float) -> None:
    """RuntimeError: there is no such device."""
    _none("setMemoryFraction")


def current_allocated_memory() -> int:
    """RuntimeError: there is no such device."""
    _none("getCurrentAllocatedMemory")


def driver_allocated_memory() -> int:
    """RuntimeError: there is no such device."""
    _none("getDriverAllocatedMemory")


def recommended_max_memory() -> int:
    """RuntimeError: there is no such device."""
    _none("recommendedMaxMemory")


def get_rng_state() -> Any:
    """RuntimeError: there is no such generator."""
    _none("getDefaultGenerator")


def set_rng_state(new_state: Any) -> None:
    """RuntimeError: there is no such generator."""
    _none("getDefaultGenerator")
