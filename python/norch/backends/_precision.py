"""The flags that allow TF32, and the names of float32's precision."""

from __future__ import annotations

from typing import Callable


def is_tf32(precision: str) -> bool:
    """Whether a name allows TF32: "tf32" does, "ieee" and "none" (as at first) do not. Raises RuntimeError for others."""
    if precision not in ("ieee", "tf32", "none"):
        raise RuntimeError(f"fp32_precision: expected 'ieee', 'tf32' or 'none', got {precision!r}")
    return precision == "tf32"


class AllowsTf32:
    """One flag under its two names: `allow_tf32`, and `fp32_precision` with "tf32" or "ieee"."""

    __slots__ = ()

    _allowed: Callable[[], bool]
    _allow: Callable[[bool], None]

    @property
    def allow_tf32(self) -> bool:
        return type(self)._allowed()

    @allow_tf32.setter
    def allow_tf32(self, allowed: bool) -> None:
        type(self)._allow(allowed)

    @property
    def fp32_precision(self) -> str:
        return "tf32" if self.allow_tf32 else "ieee"

    @fp32_precision.setter
    def fp32_precision(self, precision: str) -> None:
        self.allow_tf32 = is_tf32(precision)
