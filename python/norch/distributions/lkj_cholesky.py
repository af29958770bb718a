"""The LKJ distribution of correlation matrices."""

from __future__ import annotations

from typing import Any

import math
import norch
from norch._C import Tensor
from . import constraints
from .beta import Beta
from .distribution import Distribution
from .utils import broadcast_all

__all__ = ["LKJCholesky"]


class LKJCholesky(Distribution):
    """Cholesky factors of dim x dim correlation matrices whose density is proportional to det^(concentration - 1), drawn
    by the onion method (Lewandowski, Kurowicka and Joe, 2009). Concentration 1 is uniform."""

    arg_constraints = {"concentration": constraints.positive}
    support = constraints.corr_cholesky

    def __init__(self, dim: int, concentration: Any = 1.0, validate_args: bool | None = None) -> None:
        if dim < 2:
            raise ValueError(f"Expected dim to be an integer greater than or equal to 2. Found dim={dim}.")
        self.dim = dim
        (self.concentration,) = broadcast_all(concentration)
        # Row k of the factor has the squared length Beta(k / 2, ...) left of the diagonal.
        offset = norch.arange(dim - 1, dtype=self.concentration.dtype, device=self.concentration.device)
        offset = norch.cat([offset.new_zeros((1,)), offset])
        marginal = self.concentration + 0.5 * (dim - 2)
        self._beta = Beta(offset + 0.5, marginal.unsqueeze(-1) - 0.5 * offset)
        super().__init__(self.concentration.size(), (dim, dim), validate_args)

    def expand(self, batch_shape: Any, _instance: Any = None) -> Any:
        new = self._get_checked_instance(LKJCholesky, _instance)
        batch_shape = norch.Size(batch_shape)
        new.dim = self.dim
        new.concentration = self.concentration.expand(batch_shape)
        new._beta = self._beta.expand(batch_shape + (self.dim,))
        super(LKJCholesky, new).__init__(batch_shape, self.event_shape, validate_args=False)
        new._validate_args = self._validate_args
        return new

    def sample(self, sample_shape: Any = norch.Size()) -> Tensor:
        with norch.no_grad():
            y = self._beta.sample(sample_shape).unsqueeze(-1)
            normal = norch.randn(self._extended_shape(sample_shape), dtype=y.dtype, device=y.device).tril(-1)
            direction = normal / normal.norm(dim=-1, keepdim=True)
            direction[..., 0, :] = 0.0  # was 0 / 0
            w = norch.sqrt(y) * direction
            rest = norch.clamp(1 - norch.sum(w**2, dim=-1), min=norch.finfo(w.dtype).tiny)
            return w + norch.diag_embed(rest.sqrt())

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        # The product of diagonal entries, entry i to the power 2 (concentration - 1) + dim - i.
        diagonal = value.diagonal(dim1=-1, dim2=-2)[..., 1:]
        i = norch.arange(2, self.dim + 1, device=self.concentration.device)
        order = 2 * (self.concentration - 1).unsqueeze(-1) + self.dim - i
        unnormalized = norch.sum(order * diagonal.log(), dim=-1)
        n = self.dim - 1
        alpha = self.concentration + 0.5 * n
        normalizer = 0.5 * n * math.log(math.pi) + norch.mvlgamma(alpha - 0.5, n) - norch.lgamma(alpha) * n
        return unnormalized - normalizer
