"""The names of float32's precision in the flags `fp32_precision`."""

from __future__ import annotations


def is_tf32(precision: str) -> bool:
    """Whether a name allows TF32: "tf32" does, "ieee" and "none" (as at first) do not. Raises RuntimeError for others."""
    if precision not in ("ieee", "tf32", "none"):
        raise RuntimeError(f"fp32_precision: expected 'ieee', 'tf32' or 'none', got {precision!r}")
    return precision == "tf32"
