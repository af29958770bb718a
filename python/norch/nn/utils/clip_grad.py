"""Clipping gradients in place."""

from __future__ import annotations

import warnings
from typing import Any, Iterable

import norch
from norch._C import Tensor, _optim
from norch.autograd import no_grad

__all__ = ["clip_grad_norm", "clip_grad_norm_", "clip_grad_value_", "clip_grads_with_norm_", "get_total_norm"]


def _grads(parameters: Any) -> list[Tensor]:
    _, grads, sparse = _optim.with_grads([parameters] if isinstance(parameters, Tensor) else parameters)
    if sparse:
        raise NotImplementedError("clipping of sparse gradients is not implemented: clip their to_dense() instead")
    return grads


def _scale(grads: list[Tensor], max_norm: float, total_norm: Tensor) -> None:
    with no_grad():
        scale = (float(max_norm) / (total_norm + 1e-6)).clamp(max=1.0)
        for grad in grads:
            grad.mul_(scale.to(grad.device))


def get_total_norm(
    tensors: Iterable[Tensor] | Tensor,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """The norm of the tensors' norms: for a positive order, the norm of all their elements together; 0-d. Raises
    RuntimeError if it is not finite and `error_if_nonfinite`."""
    tensors = [tensors] if isinstance(tensors, Tensor) else list(tensors)
    if not tensors:
        return norch.tensor(0.0)
    with no_grad():
        order = float(norm_type)
        total = norch.stack([t.norm(order).to(tensors[0].device) for t in tensors]).norm(order)
    if error_if_nonfinite and not bool(norch.isfinite(total)):
        raise RuntimeError(
            f"The total norm of order {float(norm_type)} for gradients from `parameters` is non-finite, so it "
            "cannot be clipped. To disable this error and scale the gradients by the non-finite norm anyway, "
            "set `error_if_nonfinite=False`"
        )
    return total


def clip_grad_norm_(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """Scales the gradients so that the norm of all of them together is at most `max_norm`. Returns the
    norm before; nothing waits for the device. `foreach` is accepted: there is one way only."""
    grads = _grads(parameters)
    if not grads:
        return norch.tensor(0.0)
    if float(norm_type) > 0:
        return _optim.clip_grad_norm_(grads, float(max_norm), float(norm_type), error_if_nonfinite)
    total = get_total_norm(grads, norm_type, error_if_nonfinite)
    _scale(grads, max_norm, total)
    return total


def clip_grad_norm(
    parameters: Iterable[Tensor] | Tensor,
    max_norm: float,
    norm_type: float = 2.0,
    error_if_nonfinite: bool = False,
    foreach: bool | None = None,
) -> Tensor:
    """`clip_grad_norm_`, by its old name."""
    warnings.warn(
        "`norch.nn.utils.clip_grad_norm` is now deprecated in favor of `norch.nn.utils.clip_grad_norm_`.",
        FutureWarning,
        stacklevel=2,
    )
    return clip_grad_norm_(parameters, max_norm, norm_type, error_if_nonfinite, foreach)


def clip_grads_with_norm_(
    parameters: Iterable[Tensor] | Tensor, max_norm: float, total_norm: Tensor, foreach: bool | None = None
) -> None:
    """Scales the gradients by max_norm / (total_norm + 1e-6), at most 1: `clip_grad_norm_` with a norm that
    `get_total_norm` gave."""
    _scale(_grads(parameters), max_norm, total_norm)


def clip_grad_value_(
    parameters: Iterable[Tensor] | Tensor, clip_value: float, foreach: bool | None = None
) -> None:
    """Clamps every gradient to [-clip_value, clip_value]."""
    clip_value = float(clip_value)
    with no_grad():
        for grad in _grads(parameters):
            grad.clamp_(-clip_value, clip_value)
