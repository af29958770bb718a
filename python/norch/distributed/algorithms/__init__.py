"""torch.distributed.algorithms, of which norch has `join`."""

from __future__ import annotations

from . import join as join

__all__ = ["join"]
