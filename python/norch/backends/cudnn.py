"""Flags of cuDNN. `allow_tf32` (or fp32_precision "tf32") lets convolutions of float32 round their factors to TF32 on
tensor cores; unlike PyTorch's it is False at first. The others are accepted: norch's algorithms are deterministic."""

from __future__ import annotations

import contextlib
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any, Iterator

from norch import cuda as _cuda
from norch._C import _cuda as _state
from norch.backends._precision import AllowsTf32, is_tf32

__all__ = ["allow_tf32", "benchmark", "benchmark_limit", "deterministic", "enabled", "flags", "is_acceptable", "is_available", "version"]

enabled: bool = True
benchmark: bool = False
benchmark_limit: int = 10
deterministic: bool = True
if TYPE_CHECKING:
    allow_tf32: bool
    fp32_precision: str


class _Flags(AllowsTf32, ModuleType):
    """The module's attributes that have an effect."""

    _allowed = staticmethod(_state._convolution_tf32)
    _allow = staticmethod(_state._set_convolution_tf32)


sys.modules[__name__].__class__ = _Flags


def is_available() -> bool:
    """Whether convolutions and attention on the GPU may use cuDNN: it is opened when first needed, where it is installed."""
    return _cuda.is_available()


def version() -> int | None:
    """None: norch does not depend on one version of cuDNN."""
    return None


def is_acceptable(tensor: Any) -> bool:
    """Whether a tensor of a GPU has a dtype that cuDNN computes with."""
    return is_available() and tensor.is_cuda and tensor.is_floating_point()


@contextlib.contextmanager
def flags(
    enabled: bool = False,
    benchmark: bool = False,
    benchmark_limit: int = 10,
    deterministic: bool = False,
    allow_tf32: bool | None = None,
    fp32_precision: str = "none",
) -> Iterator[None]:
    """`allow_tf32`, or fp32_precision "tf32" or "ieee", for a block; without them nothing changes inside."""
    before = _state._convolution_tf32()
    if allow_tf32 is not None or fp32_precision != "none":
        _state._set_convolution_tf32(bool(allow_tf32) or is_tf32(fp32_precision))
    try:
        yield
    finally:
        _state._set_convolution_tf32(before)
