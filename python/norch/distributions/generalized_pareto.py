"""The generalised Pareto distribution."""

from __future__ import annotations

from typing import Any

import math
import norch
from norch._C import Tensor
from . import constraints
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["GeneralizedPareto"]


class GeneralizedPareto(Distribution):
    """Tails above `loc`: P(x > loc + scale z) = (1 + concentration z)^(-1 / concentration), exp(-z) for concentration
    0; bounded for a negative concentration."""

    arg_constraints = {"loc": constraints.real, "scale": constraints.positive, "concentration": constraints.real}
    has_rsample = True
    _expanded = {"loc": 0, "scale": 0, "concentration": 0}

    def __init__(self, loc: Any, scale: Any, concentration: Any, validate_args: bool | None = None) -> None:
        self.loc, self.scale, self.concentration = broadcast_all(loc, scale, concentration)
        super().__init__(self.loc.size(), validate_args=validate_args)

    @constraints.dependent_property(is_discrete=False, event_dim=0)
    def support(self) -> Any:
        upper = self.loc - self.scale / self.concentration
        return constraints.interval(self.loc, norch.where(self.concentration < 0, upper, math.inf))

    def _near_zero(self) -> Tensor:
        return norch.isclose(self.concentration, norch.zeros_like(self.concentration))

    def _safe(self) -> Tensor:
        """The concentration; 1 where it is taken as 0, so that dividing by it is harmless."""
        return norch.where(self._near_zero(), norch.ones_like(self.concentration), self.concentration)

    def rsample(self, sample_shape: Any = norch.Size()) -> Tensor:
        u = norch.rand(self._extended_shape(sample_shape), dtype=self.loc.dtype, device=self.loc.device)
        return self.icdf(u)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, c = self._z(value), self._safe()
        tail = norch.where(self._near_zero(), z, (1 / c + 1) * norch.log1p(c * z))
        return -self.scale.log() - tail

    def log_survival_function(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        z, c = self._z(value), self._safe()
        return norch.where(self._near_zero(), -z, -norch.log1p(c * z) / c)

    def log_cdf(self, value: Tensor) -> Tensor:
        return norch.log1p(-norch.exp(self.log_survival_function(value)))

    def cdf(self, value: Tensor) -> Tensor:
        return norch.exp(self.log_cdf(value))

    def icdf(self, value: Tensor) -> Tensor:
        c, log_survival = self._safe(), norch.log1p(-value)
        z = norch.where(self._near_zero(), -log_survival, norch.expm1(-c * log_survival) / c)
        return self.loc + self.scale * z

    def _z(self, x: Tensor) -> Tensor:
        return (x - self.loc) / self.scale

    @property
    def mean(self) -> Tensor:
        c = norch.where(self.concentration < 1, self.concentration, 0.0)
        return norch.where(self.concentration < 1, self.loc + self.scale / (1 - c), math.inf)

    @property
    def variance(self) -> Tensor:
        c = norch.where(self.concentration < 0.5, self.concentration, 0.0)
        variance = self.scale**2 / ((1 - c) ** 2 * (1 - 2 * c))
        return norch.where(self.concentration < 0.5, variance, math.inf)

    def entropy(self) -> Tensor:
        return (norch.log(self.scale) + self.concentration + 1).expand(self._batch_shape)

    @property
    def mode(self) -> Tensor:
        return self.loc
