"""Parameters as one flat vector, and back."""

from __future__ import annotations

from typing import Iterable

import norch
from norch._C import Tensor
from norch.autograd import no_grad

__all__ = ["parameters_to_vector", "vector_to_parameters"]


def _check_device(param: Tensor, device: Tensor | None) -> Tensor:
    if device is not None and device.device != param.device:
        raise TypeError("Found two parameters on different devices, this is currently not supported.")
    return param


def parameters_to_vector(parameters: Iterable[Tensor]) -> Tensor:
    """All elements of all parameters, in order, as a 1-D tensor (differentiable)."""
    first = None
    flat = []
    for p in parameters:
        first = _check_device(p, first)
        flat.append(p.reshape(-1))
    return norch.cat(flat)


def vector_to_parameters(vec: Tensor, parameters: Iterable[Tensor]) -> None:
    """Writes the elements of `vec` into the parameters, in order."""
    if not isinstance(vec, Tensor):
        raise TypeError(f"expected norch.Tensor, but got: {type(vec).__name__}")
    params = list(parameters)
    needed = sum(p.numel() for p in params)
    if vec.numel() < needed:
        raise RuntimeError(f"vector_to_parameters: the vector has {vec.numel()} elements, the parameters {needed}")
    first = None
    at = 0
    with no_grad():
        for p in params:
            first = _check_device(p, first)
            p.copy_(vec[at : at + p.numel()].view(p.shape))
            at += p.numel()
