"""Reductions and scans, as the array API standard has them."""

from __future__ import annotations

import norch
from norch import Tensor
from norch.array_api._dtypes import is_kind, promoted

__all__ = [
    "all",
    "any",
    "cumulative_prod",
    "cumulative_sum",
    "diff",
    "max",
    "mean",
    "min",
    "prod",
    "std",
    "sum",
    "var",
]


def _axes(x: Tensor, axis) -> tuple[int, ...]:
    """The axes to reduce, from the last to the first."""
    given = range(x.ndim) if axis is None else (axis,) if isinstance(axis, int) else axis
    for a in given:
        if not -x.ndim <= a < x.ndim:
            raise IndexError(f"axis {a} is out of bounds for an array of {x.ndim} dims")
    return tuple(sorted((a % x.ndim for a in given), reverse=True))


def _accumulator(x: Tensor, dtype):
    """The dtype of a sum: integers in 64 bits, unsigned ones unsigned."""
    if dtype is not None:
        return dtype
    if is_kind(x.dtype, "unsigned integer"):
        return norch.uint64
    return norch.int64 if is_kind(x.dtype, "signed integer", "bool") else x.dtype


def sum(x, /, *, axis=None, dtype=None, keepdims=False) -> Tensor:
    """The sum over axes, all by default."""
    axes, to = _axes(x, axis), _accumulator(x, dtype)
    return norch.sum(x, axes, keepdims, dtype=to) if axes else x.to(to, copy=True)


def prod(x, /, *, axis=None, dtype=None, keepdims=False) -> Tensor:
    """The product over axes, all by default."""
    result = x.to(_accumulator(x, dtype), copy=True)
    for a in _axes(x, axis):
        result = norch.prod(result, a, keepdims, dtype=result.dtype)
    return result


def mean(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The mean over axes, all by default."""
    axes = _axes(x, axis)
    return norch.mean(x, axes, keepdims) if axes else x.clone()


def var(x, /, *, axis=None, correction=0.0, keepdims=False) -> Tensor:
    """The variance over axes, with n - correction degrees of freedom."""
    axes = _axes(x, axis)
    if not axes:
        return norch.var(x.unsqueeze(-1), (-1,), correction=correction)
    return norch.var(x, axes, correction=correction, keepdim=keepdims)


def std(x, /, *, axis=None, correction=0.0, keepdims=False) -> Tensor:
    """The standard deviation over axes, with n - correction degrees of freedom."""
    axes = _axes(x, axis)
    if not axes:
        return norch.std(x.unsqueeze(-1), (-1,), correction=correction)
    return norch.std(x, axes, correction=correction, keepdim=keepdims)


def max(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The largest elements over axes, all by default; NaN where there is one."""
    axes = _axes(x, axis)
    return norch.amax(x, axes, keepdims) if axes else x.clone()


def min(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The smallest elements over axes, all by default; NaN where there is one."""
    axes = _axes(x, axis)
    return norch.amin(x, axes, keepdims) if axes else x.clone()


def all(x, /, *, axis=None, keepdims=False) -> Tensor:
    """Whether every element over axes is true (not 0)."""
    result = x.to(norch.bool, copy=True)
    for a in _axes(x, axis):
        result = norch.all(result, a, keepdims)
    return result


def any(x, /, *, axis=None, keepdims=False) -> Tensor:
    """Whether some element over axes is true (not 0)."""
    result = x.to(norch.bool, copy=True)
    for a in _axes(x, axis):
        result = norch.any(result, a, keepdims)
    return result


def _along(x: Tensor, axis) -> int:
    if axis is None:
        if x.ndim != 1:
            raise ValueError(f"axis is needed for an array of {x.ndim} dims")
        return 0
    return axis


def _with_initial(result: Tensor, axis: int, initial: int) -> Tensor:
    shape = list(result.shape)
    shape[axis] = 1
    return norch.cat([norch.full(shape, initial, dtype=result.dtype, device=result.device), result], axis)


def cumulative_sum(x, /, *, axis=None, dtype=None, include_initial=False) -> Tensor:
    """Running sums along an axis, which may be left out for a 1-d x; from 0 on with `include_initial`."""
    axis = _along(x, axis)
    result = norch.cumsum(x, axis, dtype=_accumulator(x, dtype))
    return _with_initial(result, axis, 0) if include_initial else result


def cumulative_prod(x, /, *, axis=None, dtype=None, include_initial=False) -> Tensor:
    """Running products along an axis, which may be left out for a 1-d x; from 1 on with `include_initial`."""
    axis = _along(x, axis)
    result = norch.cumprod(x, axis, dtype=_accumulator(x, dtype))
    return _with_initial(result, axis, 1) if include_initial else result


def diff(x, /, *, axis=-1, n=1, prepend=None, append=None) -> Tensor:
    """Differences of neighbours along an axis, taken n times."""
    parts = promoted(*(p for p in (prepend, x, append) if p is not None))
    result = norch.cat(parts, axis) if len(parts) > 1 else x
    for _ in range(n):
        size = result.shape[axis]
        later, earlier = result.narrow(axis, 1, size - 1), result.narrow(axis, 0, size - 1)
        result = later != earlier if result.dtype == norch.bool else later - earlier
    return result
