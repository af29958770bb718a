"""torch.xpu: Intel's GPUs, which norch does not use: there are none."""

from __future__ import annotations

__all__ = ["device_count", "empty_cache", "is_available", "is_initialized"]


def is_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


def device_count() -> int:
    """0."""
    return 0


def is_initialized() -> bool:
    """False."""
    return False


def empty_cache() -> None:
    """Does nothing, as in PyTorch before the first use of such a GPU."""
