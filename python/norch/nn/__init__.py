"""Layers, losses, containers and initialisation, as in PyTorch's `torch.nn`."""

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


def __getattr__(name: str) -> _Any:
    if name in _LAZY:
        return _import_module("norch.nn." + name)
    raise AttributeError(f"module 'norch.nn' has no attribute '{name}'")
