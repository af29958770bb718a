"""The order of `einsum`'s products: PyTorch may ask the package opt_einsum, norch does not."""

from __future__ import annotations

from typing import Any

__all__ = ["enabled", "get_opt_einsum", "is_available", "strategy"]

enabled: bool = False
strategy: str | None = None


def is_available() -> bool:
    """False: the package opt_einsum is not used."""
    return False


def get_opt_einsum() -> Any:
    """None: the package opt_einsum is not used."""
    return None
