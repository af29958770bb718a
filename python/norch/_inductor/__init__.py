"""torch._inductor, as far as programs touch it: the code generator's settings, which are kept and have no effect. There is
no compiler: norch.compile returns the function itself."""

from __future__ import annotations

from norch.compiler import cudagraph_mark_step_begin as cudagraph_mark_step_begin

from . import config as config

__all__ = ["config", "cudagraph_mark_step_begin"]
