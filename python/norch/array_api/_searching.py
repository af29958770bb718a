"""Searching, sorting and sets, as the array API standard has them."""

from __future__ import annotations

from typing import NamedTuple

import norch
from norch import Tensor
from norch.array_api._dtypes import promoted

__all__ = [
    "argmax",
    "argmin",
    "argsort",
    "count_nonzero",
    "nonzero",
    "searchsorted",
    "sort",
    "unique_all",
    "unique_counts",
    "unique_inverse",
    "unique_values",
    "where",
]


def argmax(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The index of the first largest element along an axis, or of the flattened array."""
    return norch.argmax(x, axis, keepdims)


def argmin(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The index of the first smallest element along an axis, or of the flattened array."""
    return norch.argmin(x, axis, keepdims)


def argsort(x, /, *, axis=-1, descending=False, stable=True) -> Tensor:
    """The indices that sort along an axis; equal elements keep their order."""
    return norch.argsort(x, axis, descending)


def sort(x, /, *, axis=-1, descending=False, stable=True) -> Tensor:
    """The elements sorted along an axis; equal ones keep their order."""
    return norch.sort(x, axis, descending)[0]


def count_nonzero(x, /, *, axis=None, keepdims=False) -> Tensor:
    """The number of elements that are not 0."""
    nonzero_elements = x != 0
    if axis == ():
        return nonzero_elements.to(norch.int64)
    return norch.sum(nonzero_elements, tuple(range(x.ndim)) if axis is None else axis, keepdims)


def nonzero(x, /) -> tuple[Tensor, ...]:
    """The indices of the elements that are not 0, one array for each axis."""
    if x.ndim == 0:
        raise ValueError("nonzero: expected an array of at least one dim, got a 0-d array")
    return tuple(norch.nonzero(x).unbind(1))


def searchsorted(x1, x2, /, *, side="left", sorter=None) -> Tensor:
    """The places in the sorted x1 where x2's elements would be put, before ("left") or after ("right") equal ones."""
    if side not in ("left", "right"):
        raise ValueError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    if sorter is not None:
        x1 = x1[sorter]
    x1, x2 = promoted(x1, x2)
    return norch.searchsorted(x1, x2, right=side == "right")


def where(condition, x1, x2, /) -> Tensor:
    """x1 where the condition is true, else x2."""
    return norch.where(condition, *promoted(x1, x2))


class _All(NamedTuple):
    values: Tensor
    indices: Tensor
    inverse_indices: Tensor
    counts: Tensor


class _Counts(NamedTuple):
    values: Tensor
    counts: Tensor


class _Inverse(NamedTuple):
    values: Tensor
    inverse_indices: Tensor


def _ordered(x: Tensor) -> Tensor:
    """The indices that sort a 1-d array; complex numbers go by real part, then imaginary part."""
    if not x.dtype.is_complex:
        return norch.argsort(x, 0)
    by_imag = norch.argsort(x.imag, 0)
    return by_imag[norch.argsort(x.real[by_imag], 0)]


def unique_all(x, /) -> _All:
    """The distinct elements, where each occurs first, which of them each element is, and how often they occur. Every
    NaN counts as distinct."""
    flat = x.reshape(-1)
    n = flat.numel()
    order = _ordered(flat)
    ordered = flat[order]
    starts = norch.ones(n, dtype=norch.bool, device=x.device)
    starts[1:] = ordered[1:] != ordered[:-1]
    first = norch.nonzero(starts).reshape(-1)
    inverse = norch.empty(n, dtype=norch.int64, device=x.device)
    inverse[order] = norch.cumsum(starts, 0) - 1
    ends = norch.cat([first[1:], norch.full((min(n, 1),), n, dtype=norch.int64, device=x.device)])
    return _All(ordered[first], order[first], inverse.reshape(x.shape), ends - first)


def unique_counts(x, /) -> _Counts:
    """The distinct elements and how often they occur."""
    every = unique_all(x)
    return _Counts(every.values, every.counts)


def unique_inverse(x, /) -> _Inverse:
    """The distinct elements and which of them each element is."""
    every = unique_all(x)
    return _Inverse(every.values, every.inverse_indices)


def unique_values(x, /) -> Tensor:
    """The distinct elements."""
    return unique_all(x).values
