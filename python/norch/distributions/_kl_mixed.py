"""Kullback-Leibler divergences from one family of distributions to another, by their cross entropies."""

from __future__ import annotations

import math
from typing import Any

import norch
from norch._C import Tensor

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .continuous_bernoulli import ContinuousBernoulli
from .exponential import Exponential
from .gamma import Gamma
from .gumbel import Gumbel
from .kl import register_kl
from .laplace import Laplace
from .normal import Normal
from .pareto import Pareto
from .poisson import Poisson
from .uniform import Uniform
from .utils import euler_constant


def _x_log_x(t: Tensor) -> Tensor:
    return norch.special.xlogy(t, t)


def _mean_of_log(p: Any) -> Tensor:
    """E[log x]."""
    if isinstance(p, Beta):
        return p.concentration1.digamma() - (p.concentration1 + p.concentration0).digamma()
    if isinstance(p, Exponential):
        return -euler_constant - p.rate.log()
    if isinstance(p, Pareto):
        return p.scale.log() + p.alpha.reciprocal()
    return (_x_log_x(p.high) - _x_log_x(p.low)) / (p.high - p.low) - 1  # uniform


def _to_normal(p: Any, q: Any) -> Tensor:
    square = p.variance + (p.mean - q.loc).pow(2)
    kl = 0.5 * math.log(2 * math.pi) + q.scale.log() + square / (2 * q.scale.pow(2)) - p.entropy()
    return norch.where(p.alpha <= 2, math.inf, kl) if isinstance(p, Pareto) else kl


def _to_exponential(p: Any, q: Any) -> Tensor:
    kl = q.rate * p.mean - q.rate.log() - p.entropy()
    if isinstance(p, Pareto):
        return norch.where(p.alpha <= 1, math.inf, kl)
    return norch.where(p.low < 0, math.inf, kl) if isinstance(p, Uniform) else kl


def _to_gamma(p: Any, q: Any) -> Tensor:
    kl = (
        q.concentration.lgamma()
        - q.concentration * q.rate.log()
        - (q.concentration - 1) * _mean_of_log(p)
        + q.rate * p.mean
        - p.entropy()
    )
    if isinstance(p, Pareto):
        return norch.where(p.alpha <= 1, math.inf, kl)
    return norch.where(p.low < 0, math.inf, kl) if isinstance(p, Uniform) else kl


def _to_gumbel(p: Any, q: Any) -> Tensor:
    inverse = q.scale.reciprocal()
    # E[exp(-x / scale)]
    if isinstance(p, Exponential):
        decay = p.rate / (p.rate + inverse)
    elif isinstance(p, Gamma):
        decay = (1 + inverse / p.rate).pow(-p.concentration)
    elif isinstance(p, Normal):
        decay = (-p.loc * inverse + 0.5 * (p.scale * inverse).pow(2)).exp()
    else:
        decay = q.scale * ((-p.low * inverse).exp() - (-p.high * inverse).exp()) / (p.high - p.low)
    return q.scale.log() + (p.mean - q.loc) * inverse + (q.loc * inverse).exp() * decay - p.entropy()


def _unit_to_uniform(p: Any, q: Any) -> Tensor:
    kl = -p.entropy() + (q.high - q.low).log()
    return norch.where((q.low > p.support.lower_bound) | (q.high < p.support.upper_bound), math.inf, kl)


def _to_continuous_bernoulli(p: Any, q: Any) -> Tensor:
    kl = -p.entropy() - p.mean * q.logits - norch.log1p(-q.probs) - q._cont_bern_log_norm()
    if isinstance(p, Uniform):
        return norch.where((p.high > 1) | (p.low < 0), math.inf, kl)
    return kl


def _everywhere_infinite(p: Any, q: Any) -> Tensor:
    """p has values where q has none."""
    shape = norch.broadcast_shapes(p.batch_shape, q.batch_shape)
    return norch.full_like(p.mean, math.inf).expand(shape)


_p: Any
for _p in (Beta, ContinuousBernoulli, Exponential, Gamma, Gumbel, Laplace, Pareto, Uniform):
    register_kl(_p, Normal)(_to_normal)
for _p in (Beta, ContinuousBernoulli, Gamma, Pareto, Uniform):
    register_kl(_p, Exponential)(_to_exponential)
for _p in (Beta, Exponential, Pareto, Uniform):
    register_kl(_p, Gamma)(_to_gamma)
for _p in (Exponential, Gamma, Normal, Uniform):
    register_kl(_p, Gumbel)(_to_gumbel)
for _p in (Beta, ContinuousBernoulli):
    register_kl(_p, Uniform)(_unit_to_uniform)
for _p in (Beta, Uniform):
    register_kl(_p, ContinuousBernoulli)(_to_continuous_bernoulli)

_INFINITE: dict[Any, tuple[Any, ...]] = {
    Beta: (Pareto,),
    ContinuousBernoulli: (Pareto,),
    Exponential: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gamma: (Beta, ContinuousBernoulli, Pareto, Uniform),
    Gumbel: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Laplace: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Normal: (Beta, ContinuousBernoulli, Exponential, Gamma, Pareto, Uniform),
    Pareto: (Beta, ContinuousBernoulli, Uniform),
    Poisson: (Bernoulli, Binomial),
}
for _p, _qs in _INFINITE.items():
    for _q in _qs:
        register_kl(_p, _q)(_everywhere_infinite)


@register_kl(Bernoulli, Poisson)
def _bernoulli_poisson(p: Any, q: Any) -> Tensor:
    return -p.entropy() - (p.probs * q.rate.log() - q.rate)


@register_kl(Normal, Laplace)
def _normal_laplace(p: Any, q: Any) -> Tensor:
    z = (p.loc - q.loc) / (p.scale * math.sqrt(2))
    distance = p.scale * (math.sqrt(2 / math.pi) * norch.exp(-z.pow(2)) + math.sqrt(2) * z * norch.erf(z))
    return norch.log(2 * q.scale) + distance / q.scale - p.entropy()


@register_kl(Uniform, Beta)
def _uniform_beta(p: Any, q: Any) -> Tensor:
    mirrored = Uniform(1 - p.high, 1 - p.low, validate_args=False)
    kl = (
        q.concentration1.lgamma()
        + q.concentration0.lgamma()
        - (q.concentration1 + q.concentration0).lgamma()
        - (q.concentration1 - 1) * _mean_of_log(p)
        - (q.concentration0 - 1) * _mean_of_log(mirrored)
        - p.entropy()
    )
    return norch.where((p.high > 1) | (p.low < 0), math.inf, kl)


@register_kl(Uniform, Pareto)
def _uniform_pareto(p: Any, q: Any) -> Tensor:
    log_q = (q.alpha * q.scale.pow(q.alpha)).log() - (q.alpha + 1) * _mean_of_log(p)
    return norch.where(p.low < q.scale, math.inf, -p.entropy() - log_q)
