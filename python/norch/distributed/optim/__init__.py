"""torch.distributed.optim: an optimizer whose states are spread over processes, which here is one."""

from __future__ import annotations

from .zero_redundancy_optimizer import ZeroRedundancyOptimizer as ZeroRedundancyOptimizer

__all__ = ["ZeroRedundancyOptimizer"]
