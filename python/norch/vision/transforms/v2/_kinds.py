"""From one kind of image to another, under v2's names."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

from . import functional as F


class Identity(nn.Module):
    """Leaves the image as it is."""

    def forward(self, inpt: Any) -> Any:
        return inpt


class ToImage(nn.Module):
    """A PIL image, an array or a tensor as a tensor [C, H, W] of the same dtype."""

    def forward(self, inpt: Any) -> Tensor:
        return F.to_image(inpt)


class ToPureTensor(nn.Module):
    """Leaves a tensor as it is: norch's images are plain tensors already."""

    def forward(self, inpt: Any) -> Any:
        return inpt


class ToDtype(nn.Module):
    """A tensor image in another dtype; `scale` maps the range of the one to that of the other."""

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, norch.dtype):
            raise ValueError(f"dtype must be a dtype, got {type(dtype)} instead. A dict of dtypes is not supported")
        self.dtype = dtype
        self.scale = scale

    def forward(self, inpt: Any) -> Any:
        return F.to_dtype(inpt, self.dtype, self.scale) if isinstance(inpt, Tensor) else inpt

    def extra_repr(self) -> str:
        return f"scale={self.scale}"
