"""torch._functorch, as far as programs touch it: settings of a compiler, which are kept and have no effect."""

from __future__ import annotations

from . import config as config

__all__ = ["config"]
