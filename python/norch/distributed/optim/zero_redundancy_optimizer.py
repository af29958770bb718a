"""ZeroRedundancyOptimizer for a group of one process, which holds all states."""

from __future__ import annotations

from typing import Any, Callable

from norch import distributed
from norch.optim import Optimizer

__all__ = ["ZeroRedundancyOptimizer"]


class ZeroRedundancyOptimizer(Optimizer):
    """ZeroRedundancyOptimizer(params, optimizer_class, process_group=None, parameters_as_bucket_view=False,
    overlap_with_ddp=False, **defaults)

    Steps with `optimizer_class(params, **defaults)`, which is `self.optim`; all states are this process's. Needs a process
    group (ValueError without one).

        >>> norch.distributed.init_process_group()
        >>> w = norch.ones(1, requires_grad=True)
        >>> from norch.distributed.optim import ZeroRedundancyOptimizer
        >>> opt = ZeroRedundancyOptimizer([w], norch.optim.SGD, lr=0.5)
        >>> w.sum().backward(); opt.step(); w.item()
        0.5
        >>> norch.distributed.destroy_process_group()"""

    def __init__(
        self,
        params: Any,
        optimizer_class: Callable[..., Optimizer],
        process_group: Any = None,
        parameters_as_bucket_view: bool = False,
        overlap_with_ddp: bool = False,
        **defaults: Any,
    ) -> None:
        distributed.get_world_size(process_group)  # raises where there is no group
        if overlap_with_ddp:
            raise NotImplementedError("ZeroRedundancyOptimizer: overlap_with_ddp needs several processes; leave it False")
        self.optim = optimizer_class(params, **defaults)
        super().__init__(self.optim.param_groups, self.optim.defaults)
        self.param_groups, self.state = self.optim.param_groups, self.optim.state
        self.process_group = process_group

    def step(self, closure: Callable[[], Any] | None = None, **kwargs: Any) -> Any:
        """A step of the optimizer within."""
        return self.optim.step(**kwargs) if closure is None else self.optim.step(closure, **kwargs)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds to the optimizer within too."""
        if any(param_group is g for g in self.optim.param_groups):  # of its own, while this one is made
            super().add_param_group(dict(param_group))
            return
        self.optim.add_param_group(param_group)
        self.param_groups = self.optim.param_groups

    def consolidate_state_dict(self, to: int = 0) -> None:
        """Does nothing: this process has the whole state."""

    def state_dict(self) -> dict[str, Any]:
        """That of the optimizer within."""
        return self.optim.state_dict()

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Loads it into the optimizer within."""
        self.optim.load_state_dict(state_dict)
        self.param_groups, self.state = self.optim.param_groups, self.optim.state
