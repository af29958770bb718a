"""The Laplace distribution."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor
from ._location import LocScale

__all__ = ["Laplace"]


class Laplace(LocScale):
    """Density exp(-|x - loc| / scale) / (2 scale)."""

    _expanded = {"loc": 0, "scale": 0}

    @property
    def variance(self) -> Tensor:
        return 2 * self.scale.pow(2)

    @property
    def stddev(self) -> Tensor:
        return 2**0.5 * self.scale

    def rsample(self, sample_shape: Any = norch.Size()) -> Tensor:
        shape, eps = self._extended_shape(sample_shape), norch.finfo(self.loc.dtype).eps
        u = norch.empty(shape, dtype=self.loc.dtype, device=self.loc.device).uniform_(eps - 1, 1)
        return self.loc - self.scale * u.sign() * norch.log1p(-u.abs())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return -norch.log(2 * self.scale) - norch.abs(value - self.loc) / self.scale

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        distance = value - self.loc
        return 0.5 - 0.5 * distance.sign() * norch.expm1(-distance.abs() / self.scale)

    def icdf(self, value: Tensor) -> Tensor:
        term = value - 0.5
        return self.loc - self.scale * term.sign() * norch.log1p(-2 * term.abs())

    def entropy(self) -> Tensor:
        return 1 + norch.log(2 * self.scale)
