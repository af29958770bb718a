"""Features of regions, by interpolation."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

__all__ = ["RoIAlign", "roi_align"]


def _rows(boxes: Any) -> Tensor:
    """The boxes as rows (place in the batch, x1, y1, x2, y2)."""
    if isinstance(boxes, Tensor):
        if boxes.ndim != 2 or boxes.shape[1] != 5:
            raise AssertionError("The boxes tensor shape is not correct as Tensor[K, 5]")
        return boxes
    for b in boxes:
        if b.ndim != 2 or b.shape[1] != 4:
            raise AssertionError("The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]")
    return norch.cat([norch.cat((norch.full_like(b[:, :1], i), b), 1) for i, b in enumerate(boxes)])


def _along(start: Tensor, bin_size: Tensor, bins: int, samples: int, length: int) -> tuple[Tensor, ...]:
    """For points along one side, [K, bins * samples]: the pixels before and after, and their weights."""
    steps = (norch.arange(bins * samples, device=start.device, dtype=start.dtype) + 0.5) / samples
    at = start[:, None] + steps * bin_size[:, None]
    inside = ((at >= -1.0) & (at <= length)).to(start.dtype)
    at = at.clamp(0, length - 1)
    before = at.floor()
    after_weight = at - before
    low = before.to(norch.int64)
    return low, (low + 1).clamp(max=length - 1), (1 - after_weight) * inside, after_weight * inside


def roi_align(
    input: Tensor,
    boxes: Any,
    output_size: Any,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
) -> Tensor:
    """Means of features in `output_size` (height, width) bins of each box: [K, C, height, width] (He et al., "Mask
    R-CNN", 2017).

    input: [N, C, H, W]. boxes: [K, 5] rows of (place in the batch, x1, y1, x2, y2), or a list of a tensor [L, 4] for
    each image; times `spatial_scale` they are in pixels of `input`. In each bin sampling_ratio x sampling_ratio points
    are interpolated; where it is not positive, as many as the bin has pixels, rounded up. `aligned` moves boxes by half
    a pixel, so that pixels' centres lie at whole numbers."""
    if input.ndim != 4:
        raise RuntimeError(f"roi_align: expected an input of shape [N, C, H, W], but got {tuple(input.shape)}")
    rows = _rows(boxes).to(input.dtype)
    out_h, out_w = (output_size, output_size) if isinstance(output_size, int) else output_size
    channels, height, width = input.shape[1:]
    batch = rows[:, 0].to(norch.int64)
    corners = rows[:, 1:] * spatial_scale - (0.5 if aligned else 0.0)
    sizes = corners[:, 2:] - corners[:, :2]
    if not aligned:
        sizes = sizes.clamp(min=1.0)
    bin_w, bin_h = sizes[:, 0] / out_w, sizes[:, 1] / out_h
    if sampling_ratio > 0:
        counts = [(sampling_ratio, sampling_ratio)] * len(rows)
    else:
        counts = [(max(int(h), 0), max(int(w), 0)) for h, w in zip(bin_h.ceil().tolist(), bin_w.ceil().tolist())]

    output = input.new_zeros((len(rows), channels, out_h, out_w))
    # Boxes with the same number of points are computed together.
    for samples_h, samples_w in sorted({count for count in counts if min(count) > 0}):
        chosen = [i for i, count in enumerate(counts) if count == (samples_h, samples_w)]
        k = norch.tensor(chosen, device=input.device)
        top, bottom, w_top, w_bottom = _along(corners[k, 1], bin_h[k], out_h, samples_h, height)
        left, right, w_left, w_right = _along(corners[k, 0], bin_w[k], out_w, samples_w, width)
        image = batch[k][:, None, None]
        total: Any = 0
        for ys, wy in ((top, w_top), (bottom, w_bottom)):
            for xs, wx in ((left, w_left), (right, w_right)):
                values = input[image, :, ys[:, :, None], xs[:, None, :]]  # [k, points, points, C]
                total = total + values * (wy[:, :, None] * wx[:, None, :]).unsqueeze(-1)
        bins = total.reshape(len(chosen), out_h, samples_h, out_w, samples_w, channels).mean((2, 4))
        output = output.index_copy(0, k, bins.permute(0, 3, 1, 2))
    return output


class RoIAlign(nn.Module):
    """`roi_align` as a module."""

    def __init__(
        self, output_size: Any, spatial_scale: float, sampling_ratio: int, aligned: bool = False
    ) -> None:
        super().__init__()
        self.output_size = output_size
        self.spatial_scale = spatial_scale
        self.sampling_ratio = sampling_ratio
        self.aligned = aligned

    def forward(self, input: Tensor, rois: Any) -> Tensor:
        return roi_align(input, rois, self.output_size, self.spatial_scale, self.sampling_ratio, self.aligned)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(output_size={self.output_size}, spatial_scale={self.spatial_scale}, "
            f"sampling_ratio={self.sampling_ratio}, aligned={self.aligned})"
        )
