"""Making arrays, as the array API standard has it."""

from __future__ import annotations

from typing import Any

import norch
from norch import Tensor
from norch.array_api._dtypes import promoted

__all__ = [
    "arange",
    "asarray",
    "empty",
    "empty_like",
    "eye",
    "from_dlpack",
    "full",
    "full_like",
    "linspace",
    "meshgrid",
    "ones",
    "ones_like",
    "tril",
    "triu",
    "zeros",
    "zeros_like",
]


def _shape(shape) -> tuple[int, ...]:
    return (shape,) if isinstance(shape, int) else tuple(shape)


def arange(start, /, stop=None, step=1, *, dtype=None, device=None) -> Tensor:
    """start, start + step, ... before stop; arange(stop) starts at 0."""
    if stop is None:
        start, stop = 0, start
    if (stop - start) * step <= 0:
        stop = start  # nothing
    return norch.arange(start, stop, step, dtype=dtype, device=device)


def asarray(obj: Any, /, *, dtype=None, device=None, copy: bool | None = None) -> Tensor:
    """An array of numbers, nested sequences, buffers or another library's array; without a copy where `copy` is not
    true and none is needed."""
    if isinstance(obj, Tensor):
        return obj.to(device=device or obj.device, dtype=dtype or obj.dtype, copy=bool(copy))
    if not copy and hasattr(obj, "__dlpack__") and not hasattr(obj, "__array_interface__"):
        return asarray(norch.from_dlpack(obj), dtype=dtype, device=device)
    if copy is False:
        if not hasattr(obj, "__array_interface__"):
            raise ValueError(f"asarray: a {type(obj).__name__} can't be seen as an array without a copy (copy=False)")
        result = norch.as_tensor(obj, dtype=dtype, device=device)
        if dtype is not None and result.dtype != norch.as_tensor(obj).dtype:
            raise ValueError(f"asarray: {dtype} needs a copy (copy=False)")
        return result
    if copy is None and hasattr(obj, "__array_interface__"):
        return norch.as_tensor(obj, dtype=dtype, device=device)
    return norch.tensor(obj, dtype=dtype, device=device)


def empty(shape, *, dtype=None, device=None) -> Tensor:
    """An array with whatever was in memory."""
    return norch.empty(_shape(shape), dtype=dtype, device=device)


def empty_like(x, /, *, dtype=None, device=None) -> Tensor:
    """As empty, with x's shape, dtype and device as defaults."""
    return norch.empty_like(x, dtype=dtype, device=device)


def eye(n_rows, n_cols=None, /, *, k=0, dtype=None, device=None) -> Tensor:
    """Ones on the k-th diagonal."""
    columns = n_rows if n_cols is None else n_cols
    result = norch.zeros((n_rows, columns), dtype=dtype, device=device)
    if -n_rows < k < columns:
        result.diagonal(k).fill_(1)
    return result


def from_dlpack(x, /, *, device=None, copy: bool | None = None) -> Tensor:
    """An array on the memory of an object with __dlpack__."""
    result = norch.from_dlpack(x)
    if device is not None and result.device != norch.device(device):
        if copy is False:
            raise ValueError("from_dlpack: moving to another device needs a copy (copy=False)")
        return result.to(device)
    return result.clone() if copy else result


def full(shape, fill_value, *, dtype=None, device=None) -> Tensor:
    """An array of one value."""
    return norch.full(_shape(shape), fill_value, dtype=dtype, device=device)


def full_like(x, /, fill_value, *, dtype=None, device=None) -> Tensor:
    """As full, with x's shape, dtype and device as defaults."""
    return norch.full_like(x, fill_value, dtype=dtype, device=device)


def linspace(start, stop, /, num, *, dtype=None, device=None, endpoint=True) -> Tensor:
    """num evenly spaced numbers from start to stop, which is the last one if `endpoint` is true."""
    if dtype is None and (isinstance(start, complex) or isinstance(stop, complex)):
        dtype = norch.get_default_dtype().to_complex()
    if endpoint:
        return norch.linspace(start, stop, num, dtype=dtype, device=device)
    return norch.linspace(start, stop, num + 1, dtype=dtype, device=device)[:num]


def meshgrid(*arrays, indexing="xy") -> list[Tensor]:
    """Arrays that together run over the grid of 1-d arrays."""
    if indexing not in ("xy", "ij"):
        raise ValueError(f"meshgrid: indexing must be 'xy' or 'ij', got {indexing!r}")
    return list(norch.meshgrid(*promoted(*arrays), indexing=indexing)) if arrays else []


def ones(shape, *, dtype=None, device=None) -> Tensor:
    """An array of ones."""
    return norch.ones(_shape(shape), dtype=dtype, device=device)


def ones_like(x, /, *, dtype=None, device=None) -> Tensor:
    """As ones, with x's shape, dtype and device as defaults."""
    return norch.ones_like(x, dtype=dtype, device=device)


def tril(x, /, *, k=0) -> Tensor:
    """Zeros above the k-th diagonal."""
    return norch.tril(x, k)


def triu(x, /, *, k=0) -> Tensor:
    """Zeros below the k-th diagonal."""
    return norch.triu(x, k)


def zeros(shape, *, dtype=None, device=None) -> Tensor:
    """An array of zeros."""
    return norch.zeros(_shape(shape), dtype=dtype, device=device)


def zeros_like(x, /, *, dtype=None, device=None) -> Tensor:
    """As zeros, with x's shape, dtype and device as defaults."""
    return norch.zeros_like(x, dtype=dtype, device=device)
