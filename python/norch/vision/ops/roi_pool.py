"""Features of regions, by their maxima."""

from __future__ import annotations

from typing import Any

import numpy
import norch
import norch.nn as nn
import norch.nn.functional as F
from norch._C import Tensor

from .roi_align import _rows

__all__ = ["RoIPool", "roi_pool"]


def _bins(first: int, last: int, bins: int, length: int) -> list[tuple[int, int]]:
    """Where each of the bins between the pixels `first` and `last` begins and ends, within an image of that length."""
    pixels = max(last - first + 1, 1)
    size = numpy.float32(pixels) / numpy.float32(bins)  # rounded as in torchvision, which decides where bins end
    edges = [(int(numpy.floor(i * size)), int(numpy.ceil((i + 1) * size))) for i in map(numpy.float32, range(bins))]
    return [(min(max(a + first, 0), length), min(max(b + first, 0), length)) for a, b in edges]


def roi_pool(input: Tensor, boxes: Any, output_size: Any, spatial_scale: float = 1.0) -> Tensor:
    """Maxima of features in `output_size` (height, width) bins of each box, whose corners are rounded to pixels: [K, C,
    height, width] (Girshick, "Fast R-CNN", 2015); 0 where a bin has no pixel of the image.

    input: [N, C, H, W]. boxes: [K, 5] rows of (place in the batch, x1, y1, x2, y2), or a list of a tensor [L, 4] for
    each image; times `spatial_scale` they are in pixels of `input`."""
    if input.ndim != 4:
        raise RuntimeError(f"roi_pool: expected an input of shape [N, C, H, W], but got {tuple(input.shape)}")
    rows = _rows(boxes).detach().to(input.dtype)
    out_h, out_w = (output_size, output_size) if isinstance(output_size, int) else output_size
    channels, height, width = input.shape[1:]
    scaled = (rows[:, 1:] * spatial_scale).tolist()
    corners = [[int(numpy.floor(abs(v) + 0.5)) * (1 if v >= 0 else -1) for v in row] for row in scaled]
    pooled = []
    for image, (x1, y1, x2, y2) in zip(rows[:, 0].to(norch.int64).tolist(), corners):
        ys, xs = _bins(y1, y2, out_h, height), _bins(x1, x2, out_w, width)
        top, bottom, left, right = ys[0][0], ys[-1][1], xs[0][0], xs[-1][1]
        features = input[image]
        if _even(ys) and _even(xs):  # the bins of adaptive_max_pool2d
            pooled.append(F.adaptive_max_pool2d(features[:, top:bottom, left:right], (out_h, out_w)))
            continue
        empty = input.new_zeros(channels)
        cells = [features[:, a:b, c:d].amax((1, 2)) if a < b and c < d else empty for a, b in ys for c, d in xs]
        pooled.append(norch.stack(cells, 1).reshape(channels, out_h, out_w))
    return norch.stack(pooled) if pooled else input.new_zeros((0, channels, out_h, out_w))


def _even(bins: list[tuple[int, int]]) -> bool:
    """Whether adaptive pooling divides the pixels from the first to the last bin in the same way."""
    first, n = bins[0][0], len(bins)
    pixels = bins[-1][1] - first
    return pixels > 0 and bins == [(first + i * pixels // n, first - (-(i + 1) * pixels // n)) for i in range(n)]


class RoIPool(nn.Module):
    """`roi_pool` as a module."""

    def __init__(self, output_size: Any, spatial_scale: float) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_pool(input, rois, self.output_size, self.spatial_scale)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale})"
