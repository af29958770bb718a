"""Layers, losses, containers and initialisation, as in PyTorch's `torch.nn`."""

from __future__ import annotations

from importlib import import_module as _import_module
from typing import Any as _Any

from . import _reduction, common_types, functional, grad, init, utils
from .modules import *  # noqa: F403
from . import attention as attention  # after the modules, one of which has the same name
from .parameter import Buffer as Buffer
from .parameter import Parameter as Parameter
from .parameter import UninitializedBuffer as UninitializedBuffer
from .parameter import UninitializedParameter as UninitializedParameter

_LAZY = ("parallel",)


def factory_kwargs(kwargs: dict[str, _Any] | None) -> dict[str, _Any]:
    """The arguments `device`, `dtype` and `memory_format` of a layer for the functions that make its tensors, also those
    in the dict `kwargs["factory_kwargs"]`. TypeError for any other argument, or one that is given twice."""
    given = dict(kwargs or {})
    result = dict(given.pop("factory_kwargs", {}))
    unexpected = given.keys() - {"device", "dtype", "memory_format"}
    if unexpected:
        raise TypeError(f"unexpected kwargs {unexpected}")
    for name in given.keys() & result.keys():
        raise TypeError(f"{name} specified twice, in **kwargs and in factory_kwargs")
    return {**result, **given}


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _import_module("norch.nn." + name)
    raise AttributeError(f"module 'norch.nn' has no attribute '{name}'")
