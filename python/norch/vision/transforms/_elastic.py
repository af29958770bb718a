"""Random displacement of each pixel."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import norch
import norch.nn as nn
from norch._C import Tensor

from . import functional as F
from ._functional_kinds import InterpolationMode, _interpolation_mode

__all__ = ["ElasticTransform"]


def _two_floats(x: Any, name: str) -> list[float]:
    if not isinstance(x, (float, Sequence)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(x)}")
    if isinstance(x, float):
        return [x, x]
    if len(x) != 2:
        raise ValueError(f"If {name} is a sequence its length should be 2. Got {len(x)}")
    for element in x:
        if not isinstance(element, float):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(element)}")
    return list(x)


class ElasticTransform(nn.Module):
    """Moves each pixel by a random displacement: `alpha` is its size, `sigma` how smooth it is."""

    def __init__(
        self,
        alpha: Any = 50.0,
        sigma: Any = 5.0,
        interpolation: Any = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _two_floats(alpha, "alpha")
        self.sigma = _two_floats(sigma, "sigma")
        self.interpolation = _interpolation_mode(interpolation)
        if not isinstance(fill, (int, float, list, tuple)):
            raise TypeError(f"fill should be int or float or a list or tuple of them. Got {type(fill)}")
        self.fill = [float(f) for f in fill] if isinstance(fill, (list, tuple)) else [float(fill)]

    @staticmethod
    def get_params(alpha: list[float], sigma: list[float], size: list[int]) -> Tensor:
        """A random displacement [1, H, W, 2]."""
        displacements = []
        for i, length in enumerate((size[1], size[0])):
            d = norch.rand([1, 1, *size]) * 2 - 1
            if sigma[i] > 0.0:
                kernel = int(8 * sigma[i] + 1) | 1
                d = F.gaussian_blur(d, [kernel, kernel], sigma)
            displacements.append(d * alpha[i] / length)
        return norch.cat(displacements, 1).permute(0, 2, 3, 1)

    def forward(self, tensor: Any) -> Any:
        _, height, width = F.get_dimensions(tensor)
        displacement = self.get_params(self.alpha, self.sigma, [height, width])
        return F.elastic_transform(tensor, displacement, self.interpolation, self.fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation}, fill={self.fill})"
        )
