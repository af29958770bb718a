"""torch.mps: Apple's GPUs, which norch does not use: there are none."""

from __future__ import annotations

__all__ = ["device_count", "is_available"]


def is_available() -> bool:
    """False: norch runs on CPUs and CUDA GPUs."""
    return False


def device_count() -> int:
    """0."""
    return 0
