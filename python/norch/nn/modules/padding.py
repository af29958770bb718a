"""Padding layers. `padding` is one number for all sides, or (before, after) of the last dim, then of the one before."""

from __future__ import annotations

from typing import Any

from norch._C import Tensor

from .. import functional as F
from .module import Module

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
        n = 2 * self._dims
        self.padding = tuple(padding) if isinstance(padding, (tuple, list)) else (padding,) * n
        if len(self.padding) != n:
            raise ValueError(f"{type(self).__name__}: padding is one number or {n}, but got {padding}")

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


class _ZeroPadNd(_ConstantPadNd):
    def __init__(self, padding: Any) -> None:
        super().__init__(padding, 0.0)

    def extra_repr(self) -> str:
        return f"{self.padding}"


class ConstantPad1d(_ConstantPadNd):
    """Pads one spatial dim with `value`."""

    _dims = 1


class ConstantPad2d(_ConstantPadNd):
    """Pads two spatial dims with `value`."""

    _dims = 2


class ConstantPad3d(_ConstantPadNd):
    """Pads three spatial dims with `value`."""

    _dims = 3


class ZeroPad1d(_ZeroPadNd):
    """Pads one spatial dim with zeros."""

    _dims = 1


class ZeroPad2d(_ZeroPadNd):
    """Pads two spatial dims with zeros."""

    _dims = 2


class ZeroPad3d(_ZeroPadNd):
    """Pads three spatial dims with zeros."""

    _dims = 3


class ReflectionPad1d(_PadNd):
    """Pads one spatial dim with the image mirrored at its edge."""

    _dims = 1
    _mode = "reflect"


class ReflectionPad2d(_PadNd):
    """Pads two spatial dims with the image mirrored at its edge."""

    _dims = 2
    _mode = "reflect"


class ReflectionPad3d(_PadNd):
    """Pads three spatial dims with the image mirrored at its edge."""

    _dims = 3
    _mode = "reflect"


class ReplicationPad1d(_PadNd):
    """Pads one spatial dim with copies of the edge."""

    _dims = 1
    _mode = "replicate"


class ReplicationPad2d(_PadNd):
    """Pads two spatial dims with copies of the edge."""

    _dims = 2
    _mode = "replicate"


class ReplicationPad3d(_PadNd):
    """Pads three spatial dims with copies of the edge."""

    _dims = 3
    _mode = "replicate"


class CircularPad1d(_PadNd):
    """Pads one spatial dim with the image's other side."""

    _dims = 1
    _mode = "circular"


class CircularPad2d(_PadNd):
    """Pads two spatial dims with the image's other side."""

    _dims = 2
    _mode = "circular"


class CircularPad3d(_PadNd):
    """Pads three spatial dims with the image's other side."""

    _dims = 3
    _mode = "circular"
