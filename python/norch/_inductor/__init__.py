"""torch._inductor, as far as programs touch it: the code generator's settings, which are kept and have no effect. There is
no compiler: norch.compile returns the function itself."""

from __future__ import annotations

from . import config as config

__all__ = ["config"]
