"""`autocast` for 'cuda'."""

from __future__ import annotations

from typing import Any, Callable

import norch.amp.autocast_mode as _mode
from norch._C import float16
from norch._C import dtype as _dtype
from norch.amp._old_names import warn_deprecated

__all__ = ["autocast", "custom_bwd", "custom_fwd"]


class autocast(_mode.autocast):
    """`norch.amp.autocast("cuda", ...)`, which is to be used instead."""

    def __init__(self, enabled: bool = True, dtype: _dtype = float16, cache_enabled: bool = True) -> None:
        warn_deprecated("cuda", "autocast")
        super().__init__("cuda", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)


def custom_fwd(fwd: Callable | None = None, *, cast_inputs: _dtype | None = None) -> Any:
    """`norch.amp.custom_fwd` for 'cuda'."""
    return _mode.custom_fwd(fwd, device_type="cuda", cast_inputs=cast_inputs)


def custom_bwd(bwd: Callable) -> Any:
    """`norch.amp.custom_bwd` for 'cuda'."""
    return _mode.custom_bwd(bwd, device_type="cuda")
