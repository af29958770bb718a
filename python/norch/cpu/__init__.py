"""The CPU, in the terms of norch.cuda."""

from __future__ import annotations

from typing import Any

__all__ = ["current_device", "device_count", "is_available", "is_initialized", "set_device", "synchronize"]


def is_available() -> bool:
    """True."""
    return True


is_initialized = is_available


def device_count() -> int:
    """1."""
    return 1


def current_device() -> str:
    """'cpu'."""
    return "cpu"


def set_device(device: Any) -> None:
    """Does nothing: there is one CPU device."""


def synchronize(device: Any = None) -> None:
    """Does nothing: operations on the CPU are done when they return."""


def __getattr__(name: str) -> Any:
    if name == "amp":
        import importlib

        return importlib.import_module("norch.cpu.amp")
    raise AttributeError(f"module 'norch.cpu' has no attribute '{name}'")
