"""The multinomial distribution."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor
from . import constraints
from ._chance import OfCategorical
from .binomial import Binomial
from .categorical import Categorical
from .utils import broadcast_all

__all__ = ["Multinomial"]


class Multinomial(OfCategorical):
    """How often each of K classes occurs in `total_count` draws from Categorical(probs, logits)."""

    arg_constraints = {"probs": constraints.simplex, "logits": constraints.real_vector}
    total_count: int
    _expanded = {}

    def __init__(
        self,
        total_count: int = 1,
        probs: Tensor | None = None,
        logits: Tensor | None = None,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(total_count, int):
            raise NotImplementedError("inhomogeneous total_count is not supported")
        self.total_count = total_count
        self._categorical = Categorical(probs=probs, logits=logits)
        self._binomial = Binomial(total_count=total_count, probs=self.probs)
        super().__init__(self._categorical.batch_shape, self._categorical.param_shape[-1:], validate_args=validate_args)

    def _expand_into(self, new: Any, batch_shape: Any) -> None:
        super()._expand_into(new, batch_shape)
        new.total_count = self.total_count
        new._binomial = Binomial(total_count=self.total_count, probs=new.probs)

    @constraints.dependent_property(is_discrete=True, event_dim=1)
    def support(self) -> Any:
        return constraints.multinomial(self.total_count)

    @property
    def mean(self) -> Tensor:
        return self.probs * self.total_count

    @property
    def variance(self) -> Tensor:
        return self.total_count * self.probs * (1 - self.probs)

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        sample_shape = norch.Size(sample_shape)
        samples = self._categorical.sample(norch.Size((self.total_count,)) + sample_shape)
        # The draws move to the last dim, and are counted there.
        samples = samples.permute(*range(1, samples.dim()), 0)
        counts = self.probs.detach().new_zeros(self._extended_shape(sample_shape))
        counts.scatter_add_(-1, samples, norch.ones_like(samples, dtype=counts.dtype))
        return counts

    def entropy(self) -> Tensor:
        n = norch.tensor(self.total_count, dtype=self.probs.dtype, device=self.probs.device)
        support = self._binomial.enumerate_support(expand=False)[1:]
        weighted = (norch.exp(self._binomial.log_prob(support)) * norch.lgamma(support + 1)).sum((0, -1))
        return n * self._categorical.entropy() - norch.lgamma(n + 1) + weighted

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        logits, value = broadcast_all(self.logits, value)
        logits = logits.clone(memory_format=norch.contiguous_format)
        log_choices = norch.lgamma(value.sum(-1) + 1) - norch.lgamma(value + 1).sum(-1)
        logits[(value == 0) & (logits == -float("inf"))] = 0
        return log_choices + (logits * value).sum(-1)
