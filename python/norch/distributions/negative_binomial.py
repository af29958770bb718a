"""The negative binomial distribution."""

from __future__ import annotations

from typing import Any

import norch
import norch.nn.functional as F
from norch._C import Tensor
from . import constraints
from ._chance import OfCount
from .gamma import Gamma
from .utils import lazy_property

__all__ = ["NegativeBinomial"]


class NegativeBinomial(OfCount):
    """Successes, of probability `probs` = sigmoid(`logits`) each, before `total_count` failures: Poisson numbers whose
    rate is a gamma number."""

    arg_constraints = {
        "total_count": constraints.greater_than_eq(0),
        "probs": constraints.half_open_interval(0.0, 1.0),
        "logits": constraints.real,
    }
    support = constraints.nonnegative_integer
    _expanded = {"total_count": 0, "probs": 0, "logits": 0}

    @property
    def mean(self) -> Tensor:
        return self.total_count * norch.exp(self.logits)

    @property
    def mode(self) -> Tensor:
        return ((self.total_count - 1) * self.logits.exp()).floor().clamp(min=0.0)

    @property
    def variance(self) -> Tensor:
        return self.mean / norch.sigmoid(-self.logits)

    @lazy_property
    def _gamma(self) -> Gamma:
        return Gamma(concentration=self.total_count, rate=norch.exp(-self.logits), validate_args=False)

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        with norch.no_grad():
            return norch.poisson(self._gamma.sample(sample_shape=sample_shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        unnormalized = self.total_count * F.logsigmoid(-self.logits) + value * F.logsigmoid(self.logits)
        normalizer = (
            -norch.lgamma(self.total_count + value) + norch.lgamma(1.0 + value) + norch.lgamma(self.total_count)
        )
        normalizer = normalizer.masked_fill(self.total_count + value == 0.0, 0.0)
        return unnormalized - normalizer
