"""PyTorch's process-wide settings. set_float32_matmul_precision has an effect; the others norch needs none of: they are
accepted, and remembered where programs read them back. norch is deterministic in every setting."""

from __future__ import annotations

from typing import Any, Callable

from norch._C import _cuda

__all__ = [
    "are_deterministic_algorithms_enabled",
    "compile",
    "get_deterministic_debug_mode",
    "get_device_module",
    "get_float32_matmul_precision",
    "get_num_interop_threads",
    "is_deterministic_algorithms_warn_only_enabled",
    "is_warn_always_enabled",
    "set_deterministic_debug_mode",
    "set_float32_matmul_precision",
    "set_flush_denormal",
    "set_num_interop_threads",
    "set_warn_always",
    "use_deterministic_algorithms",
]

_state: dict[str, Any] = {"tf32_name": "high", "warn_only": False, "debug_mode": 0, "warn_always": False, "interop": 1}


def set_float32_matmul_precision(precision: str) -> None:
    """How matrix products of float32 are computed on GPUs: "highest" (at first) in float32; "high" and "medium" may round
    the factors to TF32 (10 bits of mantissa, sums in float32), which tensor cores multiply several times as fast. The same
    switch as backends.cuda.matmul.allow_tf32. Products on the CPU are of float32 with each. Raises ValueError for other
    names.

        >>> norch.set_float32_matmul_precision("high")
        >>> norch.backends.cuda.matmul.allow_tf32
        True
        >>> norch.set_float32_matmul_precision("highest")"""
    if precision not in ("highest", "high", "medium"):
        raise ValueError(f"set_float32_matmul_precision: expected 'highest', 'high' or 'medium', got {precision!r}")
    _cuda._set_matmul_tf32(precision != "highest")
    _state["tf32_name"] = "medium" if precision == "medium" else "high"


def get_float32_matmul_precision() -> str:
    """"highest", or, while TF32 is allowed, "high" or "medium", whichever set_float32_matmul_precision was told last."""
    return str(_state["tf32_name"]) if _cuda._matmul_tf32() else "highest"


def use_deterministic_algorithms(mode: bool, *, warn_only: bool = False) -> None:
    """Accepted: norch has deterministic algorithms only, also after use_deterministic_algorithms(False)."""
    if not isinstance(mode, bool):
        raise TypeError(f"use_deterministic_algorithms: mode must be a bool, got {type(mode).__name__}")
    _state["warn_only"] = warn_only


def are_deterministic_algorithms_enabled() -> bool:
    """True, always."""
    return True


def is_deterministic_algorithms_warn_only_enabled() -> bool:
    """What use_deterministic_algorithms was told last; there is nothing to warn of."""
    return bool(_state["warn_only"])


def set_deterministic_debug_mode(debug_mode: int | str) -> None:
    """Accepts "default", "warn", "error" or 0, 1, 2; there is nothing to warn of."""
    names = {"default": 0, "warn": 1, "error": 2}
    mode = names.get(debug_mode) if isinstance(debug_mode, str) else debug_mode
    if mode not in (0, 1, 2):
        raise RuntimeError(f"invalid value of debug_mode, expected 'default', 'warn', 'error' or 0, 1, 2, got {debug_mode}")
    _state["debug_mode"] = mode


def get_deterministic_debug_mode() -> int:
    """What set_deterministic_debug_mode was told last."""
    return int(_state["debug_mode"])


def set_warn_always(b: bool) -> None:
    """Accepted; norch's warnings are Python's, whose filters say how often they show."""
    _state["warn_always"] = bool(b)


def is_warn_always_enabled() -> bool:
    """What set_warn_always was told last."""
    return bool(_state["warn_always"])


def set_flush_denormal(mode: bool) -> bool:
    """Returns False: norch keeps denormal numbers as they are on every machine."""
    return False


def set_num_interop_threads(n: int) -> None:
    """Accepted: norch runs one operation at a time, on get_num_threads() threads. Raises RuntimeError unless n > 0."""
    if n <= 0:
        raise RuntimeError("set_num_interop_threads: Expected positive number of threads")
    _state["interop"] = int(n)


def get_num_interop_threads() -> int:
    """What set_num_interop_threads was told last, else 1."""
    return int(_state["interop"])


def get_device_module(device: Any = None) -> Any:
    """The module of a device's kind: norch.cuda for GPUs, norch.cpu for the CPU; without a device that of the accelerator,
    or of the CPU where there is none."""
    import importlib

    import norch

    if device is None:
        kind = "cuda" if norch.cuda.is_available() else "cpu"
    else:
        kind = norch.device(device).type
    return importlib.import_module(f"norch.{kind}")


def compile(
    model: Callable[..., Any] | None = None,
    *,
    fullgraph: bool = False,
    dynamic: bool | None = None,
    backend: Any = "inductor",
    mode: str | None = None,
    options: dict[str, Any] | None = None,
    disable: bool = False,
) -> Any:
    """Returns `model`, a function or a module, itself: norch runs operations as they are called and has no compiler.
    Also a decorator, with or without arguments. The arguments are accepted and have no effect.

        >>> @norch.compile(mode="reduce-overhead")
        ... def double(x):
        ...     return x * 2
        >>> double(norch.ones(2))
        tensor([2., 2.])"""
    if model is None:
        return lambda f: f
    if not callable(model):
        raise TypeError(f"compile: expected a function or a module, got {type(model).__name__}")
    return model
