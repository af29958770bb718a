"""Features of regions from the level of a pyramid that suits their size."""

from __future__ import annotations

import math
from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

from .roi_align import _rows, roi_align

__all__ = ["MultiScaleRoIAlign"]


class MultiScaleRoIAlign(nn.Module):
    """`roi_align` of each box in one of several features: a box with the area of canonical_scale^2 in the level
    `canonical_level` (the size is halved so often), one with half the sides in the level below, and so on.

    forward(x, boxes, image_shapes): a dict of features [N, C, H, W], a list of boxes [L, 4] for each image, and the
    images' (height, width). Result: [K, C, height, width]."""

    def __init__(
        self,
        featmap_names: list[str],
        output_size: Any,
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__()
        if isinstance(output_size, int):
            output_size = (output_size, output_size)
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = tuple(output_size)
        self.scales: list[float] | None = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level

    def forward(self, x: dict[str, Tensor], boxes: list[Tensor], image_shapes: list[tuple[int, int]]) -> Tensor:
        features = [value for name, value in x.items() if name in self.featmap_names]
        if not image_shapes:
            raise ValueError("images list should not be empty")
        # A feature's scale is the power of 2 nearest to its share of the largest image's height.
        height = max(shape[0] for shape in image_shapes)
        if self.scales is None:
            self.scales = [2.0 ** round(math.log2(f.shape[-2] / height)) for f in features]
        rows = _rows(boxes)
        options = (self.output_size, self.sampling_ratio)
        if len(features) == 1:
            return roi_align(features[0], rows, options[0], self.scales[0], options[1])
        lowest, highest = -math.log2(self.scales[0]), -math.log2(self.scales[-1])
        sides = ((rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2])).sqrt()
        level = (self.canonical_level + (sides / self.canonical_scale).log2() + 1e-6).floor()
        level = level.clamp(lowest, highest).to(norch.int64) - int(lowest)
        result = features[0].new_zeros((len(rows), features[0].shape[1], *self.output_size))
        for i, (feature, scale) in enumerate(zip(features, self.scales)):
            chosen = norch.where(level == i)[0]
            pooled = roi_align(feature, rows[chosen], options[0], scale, options[1])
            result = result.index_copy(0, chosen, pooled.to(result.dtype))
        return result

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(featmap_names={self.featmap_names}, output_size={self.output_size}, "
            f"sampling_ratio={self.sampling_ratio})"
        )
