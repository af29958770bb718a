"""The memory format of convolutions' weights."""

from __future__ import annotations

from typing import Any, TypeVar

from norch._C import contiguous_format

from ..modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d
from ..modules.module import Module

__all__ = ["convert_conv2d_weight_memory_format", "convert_conv3d_weight_memory_format"]

M = TypeVar("M", bound=Module)


def _convert(module: Module, memory_format: Any, kinds: tuple) -> None:
    if isinstance(module, kinds):
        module.weight.data = module.weight.detach().clone().contiguous(memory_format=memory_format)
    for child in module.children():
        _convert(child, memory_format, kinds)


def convert_conv2d_weight_memory_format(module: M, memory_format: Any = contiguous_format) -> M:
    """Lays out the weights of all Conv2d and ConvTranspose2d in `memory_format`. Returns the module."""
    _convert(module, memory_format, (Conv2d, ConvTranspose2d))
    return module


def convert_conv3d_weight_memory_format(module: M, memory_format: Any = contiguous_format) -> M:
    """Lays out the weights of all Conv3d and ConvTranspose3d in `memory_format`. Returns the module."""
    _convert(module, memory_format, (Conv3d, ConvTranspose3d))
    return module
