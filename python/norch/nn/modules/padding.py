"""Padding layers. `padding` is one number for all sides, or (before, after) of the last dim, then of the one before."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor

from .. import functional as F
from .module import Module
from .utils import _ntuple as _ntuple
from .utils import _pair as _pair
from .utils import _quadruple as _quadruple

__all__ = [
    "CircularPad1d",
    "CircularPad2d",
    "CircularPad3d",
    "ConstantPad1d",
    "ConstantPad2d",
    "ConstantPad3d",
    "ReflectionPad1d",
    "ReflectionPad2d",
    "ReflectionPad3d",
    "ReplicationPad1d",
    "ReplicationPad2d",
    "ReplicationPad3d",
    "ZeroPad1d",
    "ZeroPad2d",
    "ZeroPad3d",
]


class _PadNd(Module):
    _dims: int
    _mode: str

    def __init__(self, padding: Any) -> None:
        super().__init__()
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * (2 * self._dims)

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, self._mode)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class _ConstantPadNd(_PadNd):
    def __init__(self, padding: Any, value: float) -> None:
        super().__init__(padding)
        self.value = value

    def forward(self, input: Tensor) -> Tensor:
        return F.pad(input, self.padding, "constant", self.value)

    def extra_repr(self) -> str:
        return f"padding={self.padding}, value={self.value}"


class ConstantPad1d(_ConstantPadNd):
    """Pads one spatial dim with `value`."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads two spatial dims with `value`."""

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads three spatial dims with `value`."""

    _dims = 3


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ZeroPad1d(_ZeroPadNd, ConstantPad1d):
    """Pads one spatial dim with zeros."""


class ZeroPad2d(_ZeroPadNd, ConstantPad2d):
    """Pads two spatial dims with zeros."""


class ZeroPad3d(_ZeroPadNd, ConstantPad3d):
    """Pads three spatial dims with zeros."""


class _ReflectionPadNd(_PadNd):
    _mode = "reflect"


class ReflectionPad1d(_ReflectionPadNd):
    """Pads one spatial dim with the image mirrored at its edge."""

    _dims = 1


class ReflectionPad2d(_ReflectionPadNd):
    """Pads two spatial dims with the image mirrored at its edge."""

    _dims = 2


class ReflectionPad3d(_ReflectionPadNd):
    """Pads three spatial dims with the image mirrored at its edge."""

    _dims = 3


class _ReplicationPadNd(_PadNd):
    _mode = "replicate"


class ReplicationPad1d(_ReplicationPadNd):
    """Pads one spatial dim with copies of the edge."""

    _dims = 1


class ReplicationPad2d(_ReplicationPadNd):
    """Pads two spatial dims with copies of the edge."""

    _dims = 2


class ReplicationPad3d(_ReplicationPadNd):
    """Pads three spatial dims with copies of the edge."""

    _dims = 3


class _CircularPadNd(_PadNd):
    _mode = "circular"

    def _check_input_dim(self, input: Tensor) -> None:
        if input.ndim not in (self._dims + 1, self._dims + 2):
            raise ValueError(f"expected {self._dims + 1}D or {self._dims + 2}D input (got {input.ndim}D input)")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return super().forward(input)


class CircularPad1d(_CircularPadNd):
    """Pads one spatial dim with the image's other side."""

    _dims = 1


class CircularPad2d(_CircularPadNd):
    """Pads two spatial dims with the image's other side."""

    _dims = 2


class CircularPad3d(_CircularPadNd):
    """Pads three spatial dims with the image's other side."""

    _dims = 3
