"""Copies, sums and parts of tensors over several devices. Unlike the functions of nn.parallel they leave no gradient."""

from __future__ import annotations

from typing import Any, Sequence

import norch
from norch import Tensor

from . import _functions

__all__ = ["broadcast", "broadcast_coalesced", "gather", "reduce_add", "reduce_add_coalesced", "scatter"]


@norch.no_grad()
def broadcast(tensor: Tensor, devices: Sequence[Any] | None = None, *, out: Sequence[Tensor] | None = None) -> tuple:
    """Copies of `tensor` on the devices, or in the tensors of `out`."""
    if (devices is None) == (out is None):
        raise RuntimeError(f"Exactly one of 'devices' and 'out' must be given, got devices={devices} and out={out}")
    if out is not None:
        return tuple(o.copy_(tensor) for o in out)
    return _functions.Broadcast.apply(devices or (), tensor)


@norch.no_grad()
def broadcast_coalesced(tensors: Sequence[Tensor], devices: Sequence[Any], buffer_size: int = 10485760) -> list[tuple]:
    """For each device a tuple of copies of the tensors."""
    return [tuple(t.to(_functions.device_of(d), copy=True) for t in tensors) for d in devices]


@norch.no_grad()
def reduce_add(inputs: Sequence[Tensor], destination: Any = None) -> Tensor:
    """The sum of tensors of one shape, on `destination` (by default the first one's device).

        >>> norch.nn.parallel.comm.reduce_add([norch.ones(2), norch.ones(2)])
        tensor([2., 2.])"""
    for x in inputs:
        if x.shape != inputs[0].shape:
            got, expected = "x".join(map(str, x.shape)), "x".join(map(str, inputs[0].shape))
            raise ValueError(f"input has invalid size: got {got}, but expected {expected}")
    return _functions.ReduceAddCoalesced.apply(inputs[0].device if destination is None else destination, 1, *inputs)[0]


def reduce_add_coalesced(inputs: Sequence[Sequence[Tensor]], destination: Any = None, buffer_size: int = 10485760) -> tuple:
    """The sums over devices of several tensors: inputs[device][i]."""
    return tuple(reduce_add(same, destination) for same in zip(*inputs))


@norch.no_grad()
def scatter(
    tensor: Tensor,
    devices: Sequence[Any] | None = None,
    chunk_sizes: Sequence[int] | None = None,
    dim: int = 0,
    streams: Any = None,
    *,
    out: Sequence[Tensor] | None = None,
) -> tuple:
    """Chunks of `tensor` along `dim`, one on each device, or in the tensors of `out`, whose sizes then decide."""
    if out is None:
        return _functions.Scatter.apply(devices or (), chunk_sizes, dim, tensor)
    if devices is not None or chunk_sizes is not None:
        raise RuntimeError("'devices' and 'chunk_sizes' must not be specified when 'out' is specified")
    return tuple(o.copy_(part) for o, part in zip(out, tensor.split([o.shape[dim] for o in out], dim)))


@norch.no_grad()
def gather(tensors: Sequence[Tensor], dim: int = 0, destination: Any = None, *, out: Tensor | None = None) -> Tensor:
    """The tensors joined along `dim` on `destination` (by default the current GPU), or in `out`."""
    if out is not None:
        if destination is not None:
            raise RuntimeError(f"'destination' must not be specified when 'out' is specified, got {destination}")
        return out.copy_(_functions.Gather.apply(out.device, dim, *tensors))
    return _functions.Gather.apply("cuda" if destination is None else destination, dim, *tensors)
