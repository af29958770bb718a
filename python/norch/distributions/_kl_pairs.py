"""The table of divergences. Those of two families are -H(p) - E_p[log q], from moments of p."""

from __future__ import annotations

import math
from typing import Any

import norch
import norch.nn.functional as F
from norch._C import Tensor

from .bernoulli import Bernoulli
from .beta import Beta
from .binomial import Binomial
from .categorical import Categorical
from .cauchy import Cauchy
from .continuous_bernoulli import ContinuousBernoulli
from .dirichlet import Dirichlet
from .exp_family import ExponentialFamily
from .exponential import Exponential
from .gamma import Gamma
from .geometric import Geometric
from .gumbel import Gumbel
from .half_normal import HalfNormal
from .independent import Independent
from .kl import kl_divergence, register_kl
from .laplace import Laplace
from .lowrank_multivariate_normal import LowRankMultivariateNormal, _log_det
from .multivariate_normal import MultivariateNormal, _batch_mahalanobis
from .normal import Normal
from .one_hot_categorical import OneHotCategorical
from .pareto import Pareto
from .poisson import Poisson
from .transformed_distribution import TransformedDistribution
from .uniform import Uniform
from .utils import _sum_rightmost, euler_constant


def _infinite_like(t: Tensor) -> Tensor:
    return norch.full_like(t, math.inf)


def _x_log_x(t: Tensor) -> Tensor:
    return norch.special.xlogy(t, t)


# ---- within a family


@register_kl(Bernoulli, Bernoulli)
def _bernoulli(p: Any, q: Any) -> Tensor:
    t1 = p.probs * (F.softplus(-q.logits) - F.softplus(-p.logits))
    t1 = norch.where(q.probs == 0, math.inf, t1).masked_fill(p.probs == 0, 0)
    t2 = (1 - p.probs) * (F.softplus(q.logits) - F.softplus(p.logits))
    t2 = norch.where(q.probs == 1, math.inf, t2).masked_fill(p.probs == 1, 0)
    return t1 + t2


@register_kl(Beta, Beta)
def _beta(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration1 + p.concentration0, q.concentration1 + q.concentration0
    t1 = q.concentration1.lgamma() + q.concentration0.lgamma() + total_p.lgamma()
    t2 = p.concentration1.lgamma() + p.concentration0.lgamma() + total_q.lgamma()
    t3 = (p.concentration1 - q.concentration1) * norch.digamma(p.concentration1)
    t4 = (p.concentration0 - q.concentration0) * norch.digamma(p.concentration0)
    return t1 - t2 + t3 + t4 + (total_q - total_p) * norch.digamma(total_p)


@register_kl(Binomial, Binomial)
def _binomial(p: Any, q: Any) -> Tensor:
    if (p.total_count < q.total_count).any():
        raise NotImplementedError("KL between Binomials where q.total_count > p.total_count is not implemented")
    kl = p.total_count * (p.probs * (p.logits - q.logits) + (-p.probs).log1p() - (-q.probs).log1p())
    return norch.where(p.total_count > q.total_count, math.inf, kl)


@register_kl(Categorical, Categorical)
def _categorical(p: Any, q: Any) -> Tensor:
    t = p.probs * (p.logits - q.logits)
    t = norch.where(q.probs == 0, math.inf, t)
    return t.masked_fill((p.probs == 0).expand(t.shape), 0).sum(-1)


@register_kl(ContinuousBernoulli, ContinuousBernoulli)
def _continuous_bernoulli(p: Any, q: Any) -> Tensor:
    t1 = p.mean * (p.logits - q.logits)
    t2 = p._cont_bern_log_norm() + norch.log1p(-p.probs)
    return t1 + t2 - q._cont_bern_log_norm() - norch.log1p(-q.probs)


@register_kl(Dirichlet, Dirichlet)
def _dirichlet(p: Any, q: Any) -> Tensor:
    total_p, total_q = p.concentration.sum(-1), q.concentration.sum(-1)
    t2 = (p.concentration.lgamma() - q.concentration.lgamma()).sum(-1)
    t4 = p.concentration.digamma() - total_p.digamma().unsqueeze(-1)
    return total_p.lgamma() - total_q.lgamma() - t2 + ((p.concentration - q.concentration) * t4).sum(-1)


@register_kl(Exponential, Exponential)
def _exponential(p: Any, q: Any) -> Tensor:
    ratio = q.rate / p.rate
    return -ratio.log() + ratio - 1


@register_kl(ExponentialFamily, ExponentialFamily)
def _exponential_family(p: Any, q: Any) -> Tensor:
    """The Bregman divergence of the log normaliser (Nielsen and Nock, 2010)."""
    if type(p) is not type(q):
        raise NotImplementedError(
            "The cross KL-divergence between different exponential families cannot be computed using Bregman divergences"
        )
    params_p = [t.detach().requires_grad_() for t in p._natural_params]
    params_q = q._natural_params
    normalizer = p._log_normalizer(*params_p)
    gradients = norch.autograd.grad(normalizer.sum(), params_p, create_graph=True)
    result = q._log_normalizer(*params_q) - normalizer
    for a, b, g in zip(params_p, params_q, gradients):
        result = result - _sum_rightmost((b - a) * g, len(q.event_shape))
    return result


@register_kl(Gamma, Gamma)
def _gamma(p: Any, q: Any) -> Tensor:
    t1 = q.concentration * (p.rate / q.rate).log()
    t2 = norch.lgamma(q.concentration) - norch.lgamma(p.concentration)
    t3 = (p.concentration - q.concentration) * norch.digamma(p.concentration)
    return t1 + t2 + t3 + (q.rate - p.rate) * (p.concentration / p.rate)


@register_kl(Gumbel, Gumbel)
def _gumbel(p: Any, q: Any) -> Tensor:
    ct1, ct2, ct3 = p.scale / q.scale, q.loc / q.scale, p.loc / q.scale
    t1 = -ct1.log() - ct2 + ct3
    return t1 + ct1 * euler_constant + norch.exp(ct2 + (1 + ct1).lgamma() - ct3) - (1 + euler_constant)


@register_kl(Geometric, Geometric)
def _geometric(p: Any, q: Any) -> Tensor:
    return -p.entropy() - norch.log1p(-q.probs) / p.probs - q.logits


@register_kl(HalfNormal, HalfNormal)
def _half_normal(p: Any, q: Any) -> Tensor:
    return _normal(p.base_dist, q.base_dist)


@register_kl(Laplace, Laplace)
def _laplace(p: Any, q: Any) -> Tensor:
    ratio, distance = p.scale / q.scale, (p.loc - q.loc).abs()
    return -ratio.log() + distance / q.scale + ratio * norch.exp(-distance / p.scale) - 1


@register_kl(Normal, Normal)
def _normal(p: Any, q: Any) -> Tensor:
    ratio = (p.scale / q.scale).pow(2)
    return 0.5 * (ratio + ((p.loc - q.loc) / q.scale).pow(2) - 1 - ratio.log())


@register_kl(OneHotCategorical, OneHotCategorical)
def _one_hot_categorical(p: Any, q: Any) -> Tensor:
    return _categorical(p._categorical, q._categorical)


@register_kl(Pareto, Pareto)
def _pareto(p: Any, q: Any) -> Tensor:
    scale_ratio, alpha_ratio = p.scale / q.scale, q.alpha / p.alpha
    kl = q.alpha * scale_ratio.log() - alpha_ratio.log() + alpha_ratio - 1
    return norch.where(p.scale < q.scale, math.inf, kl)


@register_kl(Poisson, Poisson)
def _poisson(p: Any, q: Any) -> Tensor:
    return p.rate * (p.rate.log() - q.rate.log()) - (p.rate - q.rate)


@register_kl(Uniform, Uniform)
def _uniform(p: Any, q: Any) -> Tensor:
    kl = ((q.high - q.low) / (p.high - p.low)).log()
    return norch.where((q.low > p.low) | (q.high < p.high), math.inf, kl)


@register_kl(Cauchy, Cauchy)
def _cauchy(p: Any, q: Any) -> Tensor:
    t1 = ((p.scale + q.scale).pow(2) + (p.loc - q.loc).pow(2)).log()
    return t1 - (4 * p.scale * q.scale).log()


@register_kl(TransformedDistribution, TransformedDistribution)
def _transformed(p: Any, q: Any) -> Tensor:
    if p.transforms != q.transforms or p.event_shape != q.event_shape:
        raise NotImplementedError
    return kl_divergence(p.base_dist, q.base_dist)


@register_kl(Independent, Independent)
def _independent(p: Any, q: Any) -> Tensor:
    if p.reinterpreted_batch_ndims != q.reinterpreted_batch_ndims:
        raise NotImplementedError
    return _sum_rightmost(kl_divergence(p.base_dist, q.base_dist), p.reinterpreted_batch_ndims)


# ---- multivariate normal distributions: the factor L or W, D of each; trace(S_q^-1 S_p) + distance - n + log dets


def _check_events(p: Any, q: Any, name: str) -> None:
    if p.event_shape != q.event_shape:
        raise ValueError(f"KL-divergence between two {name} with different event shapes cannot be computed")


def _tril_log_det(p: Any) -> Tensor:
    return 2 * p._unbroadcasted_scale_tril.diagonal(dim1=-2, dim2=-1).log().sum(-1)


def _low_rank_log_det(p: Any) -> Tensor:
    return _log_det(p._unbroadcasted_cov_factor, p._unbroadcasted_cov_diag, p._capacitance_tril)


def _squares(a: Tensor) -> Tensor:
    return a.pow(2).sum((-2, -1))


def _solve(tril: Tensor, b: Tensor) -> Tensor:
    return norch.linalg.solve_triangular(tril, b, upper=False)


def _woodbury(q: Any) -> Tensor:
    """A with S_q^-1 = D^-1 - A^T A."""
    scaled = q._unbroadcasted_cov_factor.mT / q._unbroadcasted_cov_diag.unsqueeze(-2)
    return _solve(q._capacitance_tril, scaled)


def _low_rank_distance(q: Any, x: Tensor) -> Tensor:
    projected = (_woodbury(q) @ x.unsqueeze(-1)).squeeze(-1)
    return (x.pow(2) / q._unbroadcasted_cov_diag).sum(-1) - projected.pow(2).sum(-1)


@register_kl(MultivariateNormal, MultivariateNormal)
def _multivariate_normal(p: Any, q: Any) -> Tensor:
    _check_events(p, q, "Multivariate Normals")
    trace = _squares(_solve(q._unbroadcasted_scale_tril, p._unbroadcasted_scale_tril))
    distance = _batch_mahalanobis(q._unbroadcasted_scale_tril, q.loc - p.loc)
    return 0.5 * (_tril_log_det(q) - _tril_log_det(p) + trace + distance - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, LowRankMultivariateNormal)
def _low_rank(p: Any, q: Any) -> Tensor:
    _check_events(p, q, "Low Rank Multivariate Normals")
    A, D_q = _woodbury(q), q._unbroadcasted_cov_diag
    trace = (
        (p._unbroadcasted_cov_diag / D_q).sum(-1)
        + _squares(p._unbroadcasted_cov_factor * D_q.rsqrt().unsqueeze(-1))
        - _squares(A * p._unbroadcasted_cov_diag.sqrt().unsqueeze(-2))
        - _squares(A @ p._unbroadcasted_cov_factor)
    )
    distance = _low_rank_distance(q, q.loc - p.loc)
    return 0.5 * (_low_rank_log_det(q) - _low_rank_log_det(p) + trace + distance - p.event_shape[0])


@register_kl(MultivariateNormal, LowRankMultivariateNormal)
def _normal_low_rank(p: Any, q: Any) -> Tensor:
    _check_events(p, q, "(Low Rank) Multivariate Normals")
    L = p._unbroadcasted_scale_tril
    trace = _squares(L * q._unbroadcasted_cov_diag.rsqrt().unsqueeze(-1)) - _squares(_woodbury(q) @ L)
    distance = _low_rank_distance(q, q.loc - p.loc)
    return 0.5 * (_low_rank_log_det(q) - _tril_log_det(p) + trace + distance - p.event_shape[0])


@register_kl(LowRankMultivariateNormal, MultivariateNormal)
def _low_rank_normal(p: Any, q: Any) -> Tensor:
    _check_events(p, q, "(Low Rank) Multivariate Normals")
    L = q._unbroadcasted_scale_tril
    diagonal = norch.diag_embed(p._unbroadcasted_cov_diag.sqrt())
    trace = _squares(_solve(L, p._unbroadcasted_cov_factor)) + _squares(_solve(L, diagonal))
    distance = _batch_mahalanobis(L, q.loc - p.loc)
    return 0.5 * (_tril_log_det(q) - _low_rank_log_det(p) + trace + distance - p.event_shape[0])


# ---- from one family to another: cross entropies


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
    return _infinite_like(p.mean).expand(shape)


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
