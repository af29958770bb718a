"""The binomial distribution."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor
from . import constraints
from ._chance import OfCount

__all__ = ["Binomial"]


def _clamp_by_zero(x: Tensor) -> Tensor:
    """max(x, 0), of gradient 1/2 at 0."""
    return (x.clamp(min=0) + x - x.clamp(max=0)) / 2


class Binomial(OfCount):
    """Successes of `total_count` trials of probability `probs` = sigmoid(`logits`)."""

    arg_constraints = {
        "total_count": constraints.nonnegative_integer,
        "probs": constraints.unit_interval,
        "logits": constraints.real,
    }
    has_enumerate_support = True
    _expanded = {"total_count": 0, "probs": 0, "logits": 0}

    def __init__(
        self, total_count: Any = 1, probs: Any = None, logits: Any = None, validate_args: bool | None = None
    ) -> None:
        super().__init__(total_count, probs, logits, validate_args)

    @constraints.dependent_property(is_discrete=True, event_dim=0)
    def support(self) -> Any:
        return constraints.integer_interval(0, self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.total_count * self.probs

    @property
    def mode(self) -> Tensor:
        return ((self.total_count + 1) * self.probs).floor().clamp(max=self.total_count)

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        with norch.no_grad():
            return norch.binomial(self.total_count.expand(shape), self.probs.expand(shape))

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        log_choices = (
            norch.lgamma(self.total_count + 1) - norch.lgamma(value + 1) - norch.lgamma(self.total_count - value + 1)
        )
        # value * logits - total_count * log(1 + exp(logits)), without overflow.
        normalizer = (
            self.total_count * _clamp_by_zero(self.logits)
            + self.total_count * norch.log1p(norch.exp(-norch.abs(self.logits)))
        )
        return value * self.logits + log_choices - normalizer

    def entropy(self) -> Tensor:
        total_count = int(self.total_count.max())
        if not self.total_count.min() == total_count:
            raise NotImplementedError("Inhomogeneous total count not supported by `entropy`.")
        log_prob = self.log_prob(self.enumerate_support(False))
        return -(norch.exp(log_prob) * log_prob).sum(0)

    def enumerate_support(self, expand: bool = True) -> Tensor:
        total_count = int(self.total_count.max())
        if not self.total_count.min() == total_count:
            raise NotImplementedError("Inhomogeneous total count not supported by `enumerate_support`.")
        values = norch.arange(1 + total_count, dtype=self._param.dtype, device=self._param.device)
        return self._enumerated(values, expand)
