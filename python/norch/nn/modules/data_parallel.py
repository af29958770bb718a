"""`DataParallel`, for programs that wrap their model in it."""

from __future__ import annotations

from typing import Any

import norch

from .module import Module

__all__ = ["DataParallel"]


class DataParallel(Module):
    """Runs `module` on the first of `device_ids` (default: the current GPU, or the CPU where there is none), to which
    inputs are moved. The whole batch runs there: results are those of PyTorch's, which spreads it over all devices.
    The wrapped module is `.module`, and the state dict's keys begin with it.

        >>> list(norch.nn.DataParallel(norch.nn.Linear(2, 3)).state_dict())
        ['module.weight', 'module.bias']
    """

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.dim = dim
        available = norch.cuda.device_count() if norch.cuda.is_available() else 0
        chosen = range(available) if device_ids is None else device_ids
        ids = [norch.device("cuda", d) if isinstance(d, int) else norch.device(d) for d in chosen]
        self.device_ids = [d.index for d in ids] if available else []
        if self.device_ids:
            self.src_device_obj = ids[0]
            self.output_device = ids[0].index if output_device is None else output_device
            module.to(ids[0])

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        if not self.device_ids:
            return self.module(*inputs, **kwargs)
        device = self.src_device_obj
        return self.module(*_moved(inputs, device), **_moved(kwargs, device))


def _moved(value: Any, device: Any) -> Any:
    if isinstance(value, norch.Tensor):
        return value.to(device)
    if isinstance(value, dict):
        return {k: _moved(v, device) for k, v in value.items()}
    if isinstance(value, (tuple, list)):
        items = [_moved(v, device) for v in value]
        return type(value)(*items) if hasattr(value, "_fields") else type(value)(items)
    return value
