"""Copies of a module on several devices."""

from __future__ import annotations

from typing import Any, Sequence

from norch._C import Tensor

from ..modules._registry import Registry
from ..modules.module import Module
from ._functions import Broadcast, device_of

__all__ = ["replicate"]


def replicate(network: Module, devices: Sequence[Any], detach: bool = False) -> list[Module]:
    """A copy of `network` for each device, whose parameters are copies: gradients of theirs are added in the network's own,
    unless `detach`. Submodules, parameters and buffers that are shared stay so within each copy.

        >>> net = norch.nn.Linear(2, 1)
        >>> a, b = norch.nn.parallel.replicate(net, ["cpu", "cpu"])
        >>> (a(norch.ones(1, 2)) + b(norch.ones(1, 2))).sum().backward()
        >>> net.bias.grad
        tensor([2.])"""
    return [_copy(network, device_of(d), detach) for d in devices]


def _broadcast_coalesced_reshape(
    tensors: Sequence[Tensor], devices: Sequence[Any], detach: bool = False
) -> list[Sequence[Tensor]]:
    """The tensors on each device, for programs that replicate modules of their own."""
    places = [device_of(d) for d in devices]
    if not tensors:
        return []
    copies = [Broadcast.apply(places, t.detach() if detach else t) for t in tensors]
    return list(zip(*copies))


def _copy(network: Module, device: Any, detach: bool) -> Module:
    copies: dict[int, Any] = {}  # by the id of what was copied: what is shared is copied once

    def moved(tensor: Any, grad: bool) -> Any:
        if tensor is not None and id(tensor) not in copies:
            copies[id(tensor)] = Broadcast.apply([device], tensor if grad else tensor.detach())[0]
        return copies.get(id(tensor))

    modules = {}
    for old in network.modules():
        new = modules[old] = object.__new__(type(old))
        new.__dict__.update(old.__dict__)
        for registry in ("_parameters", "_buffers", "_modules"):
            new.__dict__[registry] = Registry(new)
        for name, buffer in old._buffers.items():
            new._buffers[name] = moved(buffer, False)
        for name, parameter in old._parameters.items():
            if parameter is None:
                new._parameters[name] = None
            else:  # a copy is no leaf, so it is an attribute and no parameter
                new.__dict__[name] = moved(parameter, not detach)
    for old, new in modules.items():
        for name, child in old._modules.items():
            new._modules[name] = None if child is None else modules[child]
    return modules[network]
