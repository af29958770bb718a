"""Helpers of the distributions: broadcasting of parameters, logits and probabilities, attributes made when needed."""

from __future__ import annotations

from functools import update_wrapper
from numbers import Number
from typing import Any, Callable

import norch
import norch.nn.functional as F
from norch._C import Tensor

__all__ = [
    "broadcast_all",
    "clamp_probs",
    "lazy_property",
    "logits_to_probs",
    "probs_to_logits",
    "tril_matrix_to_vec",
    "vec_to_tril_matrix",
]

euler_constant = 0.57721566490153286060


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """The values as tensors of one shape. Numbers take the dtype and device of the first tensor, or the default dtype.

    Raises ValueError for anything that is neither a number nor a tensor."""
    if not all(isinstance(v, (Tensor, Number)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing __torch_function__."
        )
    like = next((v for v in values if isinstance(v, Tensor)), None)
    options: dict[str, Any] = {"dtype": norch.get_default_dtype()}
    if like is not None:
        options = {"dtype": like.dtype, "device": like.device}
    return tuple(norch.broadcast_tensors(*[v if isinstance(v, Tensor) else norch.tensor(v, **options) for v in values]))


def _standard_normal(shape: Any, dtype: Any, device: Any) -> Tensor:
    return norch.empty(shape, dtype=dtype, device=device).normal_()


def _sum_rightmost(value: Tensor, dim: int) -> Tensor:
    """Sums over the last `dim` dims."""
    if dim == 0:
        return value
    return value.reshape(value.shape[:-dim] + (-1,)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """sigmoid(logits), or softmax over the last dim."""
    return norch.sigmoid(logits) if is_binary else F.softmax(logits, dim=-1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities moved into [eps, 1 - eps], so that their logarithms are finite."""
    eps = norch.finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """log(p / (1 - p)), or log(p)."""
    p = clamp_probs(probs)
    return norch.log(p) - norch.log1p(-p) if is_binary else norch.log(p)


class lazy_property:
    """A property that is computed, with gradients, when first read, and then is an attribute of the instance."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with norch.enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value


def tril_matrix_to_vec(mat: Tensor, diag: int = 0) -> Tensor:
    """The lower triangles of (..., D, D) matrices, up to diagonal `diag`, row by row, as vectors."""
    n = mat.shape[-1]
    if diag < -n or diag >= n:
        raise ValueError(f"diag ({diag}) provided is outside [{-n}, {n - 1}].")
    rows, cols = norch.tril_indices(n, n, diag, device=mat.device)
    return mat[..., rows, cols]


def vec_to_tril_matrix(vec: Tensor, diag: int = 0) -> Tensor:
    """The inverse of `tril_matrix_to_vec`: (..., D (D + 1) / 2) vectors as lower triangular matrices."""
    n = (-(1 + 2 * diag) + ((1 + 2 * diag) ** 2 + 8 * vec.shape[-1] + 4 * abs(diag) * (diag + 1)) ** 0.5) / 2
    eps = norch.finfo(vec.dtype).eps
    if not (round(n) - n) < eps:
        raise ValueError(
            f"The size of last dimension is {vec.shape[-1]} which cannot be expressed as the lower triangular part of a "
            "square D x D matrix."
        )
    size = round(n)
    mat = vec.new_zeros(vec.shape[:-1] + (size, size))
    rows, cols = norch.tril_indices(size, size, diag, device=vec.device)
    mat[..., rows, cols] = vec
    return mat
