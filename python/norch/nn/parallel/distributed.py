"""DistributedDataParallel, for a group of one process."""

from __future__ import annotations

import contextlib
from typing import Any, Iterator

from norch import distributed

from ..modules.data_parallel import _moved
from ..modules.module import Module

__all__ = ["DistributedDataParallel"]


class DistributedDataParallel(Module):
    """DistributedDataParallel(module, device_ids=None, output_device=None, ...)

    Calls `module`, which it holds as `self.module`. Gradients are averaged over the processes of the group, which in norch
    is one process (see norch.distributed), so they stay as they are. Raises ValueError without a group; the other
    arguments are accepted and have no effect."""

    module: Module

    def __init__(
        self,
        module: Module,
        device_ids: Any = None,
        output_device: Any = None,
        dim: int = 0,
        broadcast_buffers: bool = True,
        init_sync: bool = True,
        process_group: Any = None,
        **_: Any,
    ) -> None:
        super().__init__()
        distributed.get_world_size(process_group)  # raises where there is no group
        if not any(p.requires_grad for p in module.parameters()):
            raise RuntimeError(
                "DistributedDataParallel is not needed when a module doesn't have any parameter that requires a gradient."
            )
        if device_ids is not None and len(device_ids) > 1:
            raise ValueError(
                "device_ids can only be None or contain a single element, got " + str(list(device_ids))
            )
        self.module = module
        self.dim = dim
        self.device_ids = list(device_ids) if device_ids else None
        self.device = next(iter(module.parameters())).device
        self.require_backward_grad_sync = True

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        """The module's output for these inputs."""
        if self.device_ids:
            inputs, kwargs = _moved(inputs, self.device), _moved(kwargs, self.device)
        return self.module(*inputs, **kwargs)

    @contextlib.contextmanager
    def no_sync(self) -> Iterator[None]:
        """Gradients are not averaged inside: with one process there is nothing to average."""
        before, self.require_backward_grad_sync = self.require_backward_grad_sync, False
        try:
            yield
        finally:
            self.require_backward_grad_sync = before
