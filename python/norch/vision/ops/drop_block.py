"""Dropout of whole regions (Ghiasi et al., "DropBlock", 2018)."""

from __future__ import annotations

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

__all__ = ["DropBlock2d", "DropBlock3d", "drop_block2d", "drop_block3d"]


def _drop_block(
    input: Tensor, p: float, block_size: int, inplace: bool, eps: float, training: bool, dims: int
) -> Tensor:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.ndim != dims + 2:
        raise ValueError(f"input should be {dims + 2} dimensional. Got {input.ndim} dimensions.")
    if not training or p == 0.0:
        return input
    sides = input.shape[2:]
    block = min(block_size, *sides)
    centres = [side - block + 1 for side in sides]
    gamma = p / block**dims
    for side, places in zip(sides, centres):
        gamma *= side / places
    noise = norch.empty((*input.shape[:2], *centres), dtype=input.dtype, device=input.device).bernoulli_(gamma)
    noise = F.pad(noise, [block - 1] * (2 * dims), value=0)  # a place of the noise is the first one of its block
    kept = 1 - (F.max_pool2d if dims == 2 else F.max_pool3d)(noise, kernel_size=block, stride=1)
    scale = kept.numel() / (eps + kept.sum())
    return input.mul_(kept).mul_(scale) if inplace else input * kept * scale


def drop_block2d(
    input: Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06, training: bool = True
) -> Tensor:
    """Zeroes squares of `block_size` pixels of [N, C, H, W], a share of about `p`, and scales the rest so that the mean
    stays; the input where not `training`.

    >>> from norch.vision.ops import drop_block2d
    >>> drop_block2d(norch.ones(1, 1, 4, 4), 0.0, 2).sum()
    tensor(16.)
    """
    return _drop_block(input, p, block_size, inplace, eps, training, 2)


def drop_block3d(
    input: Tensor, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06, training: bool = True
) -> Tensor:
    """`drop_block2d` for cubes of [N, C, D, H, W]."""
    return _drop_block(input, p, block_size, inplace, eps, training, 3)


class DropBlock2d(nn.Module):
    """`drop_block2d` as a module."""

    def __init__(self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p}, block_size={self.block_size}, inplace={self.inplace})"


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a module."""

    def forward(self, input: Tensor) -> Tensor:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
