"""Convolution at places that are moved."""

from __future__ import annotations

import math
from typing import Any

import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor
from norch.nn.modules.utils import _pair

__all__ = ["DeformConv2d", "deform_conv2d"]


def _places(size: int, kernel: int, stride: int, padding: int, dilation: int, like: Tensor) -> Tensor:
    """[kernel, size]: where along one side the taps of each output lie without offsets."""
    taps = norch.arange(kernel, device=like.device, dtype=like.dtype) * dilation - padding
    return taps[:, None] + norch.arange(size, device=like.device, dtype=like.dtype) * stride


def deform_conv2d(
    input: Tensor,
    offset: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Any = (1, 1),
    padding: Any = (0, 0),
    dilation: Any = (1, 1),
    mask: Tensor | None = None,
) -> Tensor:
    """A convolution whose taps lie at places moved by `offset`, between pixels too (Dai et al., "Deformable
    Convolutional Networks", 2017), and count by `mask` (Zhu et al., 2019).

    input: [N, C, H, W]. weight: [out, C / groups, kh, kw]. offset: [N, 2 * parts * kh * kw, outH, outW], (y, x) of each
    tap; the C channels are divided into `parts` that have offsets of their own. mask: [N, parts * kh * kw, outH, outW].
    Outside of the input there are zeros. Result: [N, out, outH, outW].

    >>> from norch.vision.ops import deform_conv2d
    >>> x = norch.arange(9.0).reshape(1, 1, 3, 3)
    >>> deform_conv2d(x, norch.full((1, 2, 3, 3), 0.5), norch.ones(1, 1, 1, 1))[0, 0, 0]
    tensor([2.0000, 3.0000, 1.7500])
    """
    if input.ndim != 4 or weight.ndim != 4 or offset.ndim != 4:
        raise RuntimeError("deform_conv2d: input, weight and offset should have 4 dimensions")
    n, channels, height, width = input.shape
    out_channels, per_group, kh, kw = weight.shape
    (stride_h, stride_w), (pad_h, pad_w), (dil_h, dil_w) = _pair(stride), _pair(padding), _pair(dilation)
    taps = kh * kw
    parts = offset.shape[1] // (2 * taps)
    if parts == 0:
        raise RuntimeError(
            "the shape of the offset tensor at dimension 1 is not valid. It should be a multiple of 2 * weight.size[2] * "
            f"weight.size[3].\nGot offset.shape[1]={offset.shape[1]}, while 2 * weight.size[2] * weight.size[3]={2 * taps}"
        )
    out_h = (height + 2 * pad_h - dil_h * (kh - 1) - 1) // stride_h + 1
    out_w = (width + 2 * pad_w - dil_w * (kw - 1) - 1) // stride_w + 1
    for name, found, wanted in (
        ("offset", offset, (n, 2 * parts * taps, out_h, out_w)),
        ("mask", mask, (n, parts * taps, out_h, out_w)),
    ):
        if found is not None and tuple(found.shape) != wanted:
            raise RuntimeError(f"deform_conv2d: expected {name} of shape {wanted}, got {tuple(found.shape)}")
    if channels % parts or channels % per_group or out_channels % (channels // per_group):
        raise RuntimeError(
            f"deform_conv2d: {channels} channels cannot be divided into {parts} parts with offsets and groups of "
            f"{per_group}, with {out_channels} outputs"
        )
    moved = offset.reshape(n, parts, kh, kw, 2, out_h, out_w)
    ys = _places(out_h, kh, stride_h, pad_h, dil_h, offset)[:, None, :, None] + moved[:, :, :, :, 0]
    xs = _places(out_w, kw, stride_w, pad_w, dil_w, offset)[None, :, None, :] + moved[:, :, :, :, 1]
    # grid_sample counts from -1 at one edge of the image to 1 at the other.
    grid = norch.stack(((2 * xs + 1) / width - 1, (2 * ys + 1) / height - 1), -1)
    values = F.grid_sample(
        input.reshape(n * parts, channels // parts, height, width),
        grid.reshape(n * parts, taps * out_h, out_w, 2),
        align_corners=False,
    ).reshape(n, parts, channels // parts, taps, out_h * out_w)
    if mask is not None:
        values = values * mask.reshape(n, parts, 1, taps, out_h * out_w)
    groups = channels // per_group
    columns = values.reshape(n, groups, per_group * taps, out_h * out_w)
    result = norch.matmul(weight.reshape(groups, out_channels // groups, per_group * taps), columns)
    result = result.reshape(n, out_channels, out_h, out_w)
    return result if bias is None else result + bias.reshape(1, -1, 1, 1)


class DeformConv2d(nn.Module):
    """`deform_conv2d` with weights of its own; offsets (and masks) are given to forward."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Any,
        stride: Any = 1,
        padding: Any = 0,
        dilation: Any = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        if in_channels % groups != 0:
            raise ValueError("in_channels must be divisible by groups")
        if out_channels % groups != 0:
            raise ValueError("out_channels must be divisible by groups")
        self.in_channels = in_channels
        self.out_channels = out_channels
        self.kernel_size = _pair(kernel_size)
        self.stride = _pair(stride)
        self.padding = _pair(padding)
        self.dilation = _pair(dilation)
        self.groups = groups
        self.weight = nn.Parameter(norch.empty(out_channels, in_channels // groups, *self.kernel_size))
        self.bias: nn.Parameter | None
        if bias:
            self.bias = nn.Parameter(norch.empty(out_channels))
        else:
            self.register_parameter("bias", None)
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Weights as those of Conv2d."""
        nn.init.kaiming_uniform_(self.weight, a=math.sqrt(5))
        if self.bias is not None:
            bound = 1 / math.sqrt(self.weight[0].numel())
            nn.init.uniform_(self.bias, -bound, bound)

    def forward(self, input: Tensor, offset: Tensor, mask: Tensor | None = None) -> Tensor:
        sizes = (self.stride, self.padding, self.dilation)
        return deform_conv2d(input, offset, self.weight, self.bias, *sizes, mask=mask)

    def __repr__(self) -> str:
        text = f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, stride={self.stride}"
        text += f", padding={self.padding}" if self.padding != (0, 0) else ""
        text += f", dilation={self.dilation}" if self.dilation != (1, 1) else ""
        text += f", groups={self.groups}" if self.groups != 1 else ""
        return f"{type(self).__name__}({text}{', bias=False' if self.bias is None else ''})"
