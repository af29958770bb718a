"""Kullback-Leibler divergences between multivariate normal distributions.

Each has a factor L, or W and D, of its covariance S: 2 KL(p, q) = trace(S_q^-1 S_p) + distance - n + log det S_q - log det S_p.
"""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor

from .kl import register_kl
from .lowrank_multivariate_normal import LowRankMultivariateNormal, _log_det
from .multivariate_normal import MultivariateNormal, _batch_mahalanobis



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
