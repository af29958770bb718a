"""`autocast` for 'cpu'."""

from __future__ import annotations

import norch.amp.autocast_mode as _mode
from norch._C import bfloat16
from norch._C import dtype as _dtype
from norch.amp._old_names import warn_deprecated

__all__ = ["autocast"]


class autocast(_mode.autocast):
    """`norch.amp.autocast("cpu", ...)`, which is to be used instead."""

    def __init__(self, enabled: bool = True, dtype: _dtype = bfloat16, cache_enabled: bool = True) -> None:
        warn_deprecated("cpu", "autocast")
        super().__init__("cpu", enabled=enabled, dtype=dtype, cache_enabled=cache_enabled)
