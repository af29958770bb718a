"""The continuous Bernoulli distribution."""

from __future__ import annotations

from typing import Any

import math
import norch
import norch.nn.functional as F
from norch._C import Tensor
from . import constraints
from ._chance import OfChance
from .exp_family import ExponentialFamily
from .utils import broadcast_all, clamp_probs, lazy_property, logits_to_probs

__all__ = ["ContinuousBernoulli"]


class ContinuousBernoulli(OfChance, ExponentialFamily):
    """Density proportional to probs^x (1 - probs)^(1 - x) in [0, 1] (Loaiza-Ganem and Cunningham, 2019). Within `lims`
    around 1/2, where the formulas cancel, Taylor series take their place."""

    arg_constraints = {"probs": constraints.unit_interval, "logits": constraints.real}
    support = constraints.unit_interval
    has_rsample = True
    _mean_carrier_measure = 0
    _expanded = {"probs": 0, "logits": 0}

    def __init__(
        self,
        probs: Any = None,
        logits: Any = None,
        lims: tuple[float, float] = (0.499, 0.501),
        validate_args: bool | None = None,
    ) -> None:
        self._set_chance(probs, logits)
        if probs is not None:
            if (validate_args is None or validate_args) and not self.arg_constraints["probs"].check(self.probs).all():
                raise ValueError("The parameter probs has invalid values")
            self.probs = clamp_probs(self.probs)
        self._lims = lims
        super().__init__(self._param.size(), validate_args=validate_args)

    def _expand_into(self, new: Any, batch_shape: Any) -> None:
        super()._expand_into(new, batch_shape)
        new._lims = self._lims

    @lazy_property
    def probs(self) -> Tensor:
        return clamp_probs(logits_to_probs(self.logits, is_binary=True))

    def _outside_unstable_region(self) -> Tensor:
        return norch.max(norch.le(self.probs, self._lims[0]), norch.gt(self.probs, self._lims[1]))

    def _cut_probs(self) -> Tensor:
        return norch.where(self._outside_unstable_region(), self.probs, self._lims[0] * norch.ones_like(self.probs))

    def _cont_bern_log_norm(self) -> Tensor:
        """The logarithm of the normalising constant, which is 2 at 1/2."""
        cut = self._cut_probs()
        below = norch.where(norch.le(cut, 0.5), cut, norch.zeros_like(cut))
        above = norch.where(norch.ge(cut, 0.5), cut, norch.ones_like(cut))
        log_norm = norch.log(norch.abs(norch.log1p(-cut) - norch.log(cut))) - norch.where(
            norch.le(cut, 0.5), norch.log1p(-2.0 * below), norch.log(2.0 * above - 1.0)
        )
        x = norch.pow(self.probs - 0.5, 2)
        taylor = math.log(2.0) + (4.0 / 3.0 + 104.0 / 45.0 * x) * x
        return norch.where(self._outside_unstable_region(), log_norm, taylor)

    @property
    def mean(self) -> Tensor:
        cut = self._cut_probs()
        mean = cut / (2.0 * cut - 1.0) + 1.0 / (norch.log1p(-cut) - norch.log(cut))
        x = self.probs - 0.5
        taylor = 0.5 + (1.0 / 3.0 + 16.0 / 45.0 * norch.pow(x, 2)) * x
        return norch.where(self._outside_unstable_region(), mean, taylor)

    @property
    def stddev(self) -> Tensor:
        return norch.sqrt(self.variance)

    @property
    def variance(self) -> Tensor:
        cut = self._cut_probs()
        variance = cut * (cut - 1.0) / norch.pow(1.0 - 2.0 * cut, 2) + 1.0 / norch.pow(
            norch.log1p(-cut) - norch.log(cut), 2
        )
        x = norch.pow(self.probs - 0.5, 2)
        taylor = 1.0 / 12.0 - (1.0 / 15.0 - 128.0 / 945.0 * x) * x
        return norch.where(self._outside_unstable_region(), variance, taylor)

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        with norch.no_grad():
            return self.rsample(sample_shape)

    def rsample(self, sample_shape: Any = norch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        return self.icdf(norch.rand(shape, dtype=self.probs.dtype, device=self.probs.device))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        likelihood = -F.binary_cross_entropy_with_logits(logits, value, reduction="none")
        return likelihood + self._cont_bern_log_norm()

    def cdf(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        cut = self._cut_probs()
        cdf = (norch.pow(cut, value) * norch.pow(1.0 - cut, 1.0 - value) + cut - 1.0) / (2.0 * cut - 1.0)
        unbounded = norch.where(self._outside_unstable_region(), cdf, value)
        return norch.where(
            norch.le(value, 0.0),
            norch.zeros_like(value),
            norch.where(norch.ge(value, 1.0), norch.ones_like(value), unbounded),
        )

    def icdf(self, value: Tensor) -> Tensor:
        cut = self._cut_probs()
        return norch.where(
            self._outside_unstable_region(),
            (norch.log1p(-cut + value * (2.0 * cut - 1.0)) - norch.log1p(-cut)) / (norch.log(cut) - norch.log1p(-cut)),
            value,
        )

    def entropy(self) -> Tensor:
        log_failure, log_success = norch.log1p(-self.probs), norch.log(self.probs)
        return self.mean * (log_failure - log_success) - self._cont_bern_log_norm() - log_failure

    @property
    def _natural_params(self) -> tuple[Tensor]:
        return (self.logits,)

    def _log_normalizer(self, x: Tensor) -> Tensor:  # type: ignore[override]
        """log |expm1(x) / x|, by its Taylor series near 0."""
        outside = norch.max(norch.le(x, self._lims[0] - 0.5), norch.gt(x, self._lims[1] - 0.5))
        cut = norch.where(outside, x, (self._lims[0] - 0.5) * norch.ones_like(x))
        log_norm = norch.log(norch.abs(norch.special.expm1(cut))) - norch.log(norch.abs(cut))
        return norch.where(outside, log_norm, 0.5 * x + norch.pow(x, 2) / 24.0 - norch.pow(x, 4) / 2880.0)
