"""`autocast` for 'cpu'."""

from __future__ import annotations

import warnings

import norch.amp.autocast_mode as _mode
from norch._C import bfloat16
from norch._C import dtype as _dtype

__all__ = ["autocast"]


class autocast(_mode.autocast):
    """`norch.amp.autocast("cpu", ...)`, which is to be used instead."""

    def __init__(self, enabled: bool = True, dtype: _dtype = bfloat16, cache_enabled: bool = True) -> None:
        warnings.warn(
            "`torch.cpu.amp.autocast(args...)` is deprecated. Please use `torch.amp.autocast('cpu', args...)` instead.",
            FutureWarning,
            stacklevel=2,
        )
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)
