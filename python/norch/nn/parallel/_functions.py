"""Moving tensors between devices with gradients, under the names of PyTorch's autograd functions. Each is written in
operations that record their own backward."""

from __future__ import annotations

from typing import Any, Sequence

import norch
from norch import Tensor

__all__ = ["Broadcast", "Gather", "ReduceAddCoalesced", "Scatter", "device_of"]


def device_of(target: Any) -> norch.device:
    """The device of an index (of a GPU; -1 is the CPU), a name or a device."""
    if isinstance(target, int):
        return norch.device("cpu") if target < 0 else norch.device("cuda", target)
    return norch.device(target)


class Broadcast:
    """Copies of tensors on several devices; the gradients of the copies are added."""

    @staticmethod
    def apply(target_gpus: Sequence[Any], *inputs: Tensor) -> tuple[Tensor, ...]:
        """inputs[0], inputs[1], ... on the first device, then the same on the second, ..."""
        return tuple(x.to(device_of(d), copy=True) for d in target_gpus for x in inputs)


class ReduceAddCoalesced:
    """Sums over devices."""

    @staticmethod
    def apply(destination: Any, num_inputs: int, *grads: Tensor) -> tuple[Tensor, ...]:
        """The inverse order of Broadcast's: every group of `num_inputs` tensors is one device's; the sum of the groups,
        on `destination`."""
        where = device_of(destination)
        sums = []
        for i in range(num_inputs):
            total = grads[i].to(where)
            for g in grads[i + num_inputs :: num_inputs]:
                total = total + g.to(where)
            sums.append(total)
        return tuple(sums)


class Gather:
    """Tensors of several devices joined on one."""

    @staticmethod
    def apply(target_device: Any, dim: int, *inputs: Tensor) -> Tensor:
        """The inputs one after another along `dim`; 0-d ones become a vector."""
        where = device_of(target_device)
        if dim == 0 and all(x.dim() == 0 for x in inputs):
            inputs = tuple(x.unsqueeze(0) for x in inputs)
        return norch.cat([x.to(where) for x in inputs], dim)


class Scatter:
    """A tensor cut over several devices."""

    @staticmethod
    def apply(target_gpus: Sequence[Any], chunk_sizes: Sequence[int] | None, dim: int, input: Tensor) -> tuple[Tensor, ...]:
        """A chunk of `input` along `dim` for each device, of the given sizes or of about the same size."""
        chunks = input.chunk(len(target_gpus), dim) if chunk_sizes is None else input.split(list(chunk_sizes), dim)
        return tuple(x.to(device_of(d)) for x, d in zip(chunks, target_gpus))
