"""The functions of norch.masked, written in ops: masked elements are replaced by the op's neutral value."""

import math
from typing import Any, Optional, Sequence, Union

import norch
from norch import Tensor

_Dims = Union[int, Sequence[int], None]
_DType = Optional[norch.dtype]
_Mask = Optional[Tensor]


def _dims(dim: _Dims, ndim: int) -> list[int]:
    """The dims as sorted numbers from 0; None and () are all of them."""
    if dim is None or dim == ():
        return list(range(ndim))
    out: list[int] = []
    for d in [dim] if isinstance(dim, int) else dim:
        if not -max(ndim, 1) <= d < max(ndim, 1):
            raise IndexError(
                f"Dimension out of range (expected to be in range of [{-max(ndim, 1)}, {max(ndim, 1) - 1}], but got {d})"
            )
        d %= max(ndim, 1)
        if d in out:
            raise RuntimeError(f"dim={d} appears multiple times in the list of dims")
        out.append(d)
    return sorted(out)


def _one_dim(dim: int, ndim: int) -> int:
    return _dims(dim, ndim)[0]


def _full_mask(input: Tensor, mask: Tensor) -> Tensor:
    if mask.ndim > input.ndim:
        raise IndexError("masked: expected a broadcastable mask (got mask dimensionality higher than of the input)")
    return mask.to(norch.bool).broadcast_to(input.shape)


def _fill(input: Tensor, mask: _Mask, neutral: Any) -> Tensor:
    """The input with `neutral` where the mask is false."""
    if mask is None:
        return input
    return norch.where(_full_mask(input, mask), input, norch.full_like(input, neutral))


def _is_integral(dtype: norch.dtype) -> bool:
    return not (dtype.is_floating_point or dtype.is_complex)


def _lowest(dtype: norch.dtype) -> Any:
    if dtype == norch.bool:
        return False
    return norch.iinfo(dtype).min if _is_integral(dtype) else -math.inf


def _highest(dtype: norch.dtype) -> Any:
    if dtype == norch.bool:
        return True
    return norch.iinfo(dtype).max if _is_integral(dtype) else math.inf


def _summed(input: Tensor) -> norch.dtype:
    """The dtype of sums and products: int64 for narrower integers."""
    return norch.int64 if _is_integral(input.dtype) else input.dtype


def sum(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The sum over `dim`.

    >>> norch.masked.sum(norch.tensor([1., 2., 4.]), mask=norch.tensor([True, False, True]))
    tensor(5.)
    """
    return _over(_fill(input, mask, 0), dim, keepdim, dtype or _summed(input), "sum")


def prod(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The product over `dim`."""
    dims = _dims(dim, input.ndim)
    result = _fill(input, mask, 1).to(dtype or _summed(input))
    for d in reversed(dims):
        result = result.prod(dim=d, keepdim=keepdim)
    return result


def _over(input: Tensor, dim: _Dims, keepdim: bool, dtype: _DType, name: str) -> Tensor:
    dims = _dims(dim, input.ndim)
    if not dims:
        return input.to(dtype) if dtype else input.clone()
    result = getattr(input, name)(dim=dims, keepdim=keepdim)
    return result.to(dtype) if dtype else result


def cumsum(input: Tensor, dim: int, *, dtype: _DType = None, mask: _Mask = None) -> Tensor:
    """Running sums; a masked element adds nothing."""
    dtype = dtype or input.dtype
    return norch.cumsum(_fill(input, mask, 0), _one_dim(dim, input.ndim), dtype=dtype)


def cumprod(input: Tensor, dim: int, *, dtype: _DType = None, mask: _Mask = None) -> Tensor:
    """Running products; a masked element multiplies by 1."""
    dtype = dtype or input.dtype
    return norch.cumprod(_fill(input, mask, 1), _one_dim(dim, input.ndim), dtype=dtype)


def amax(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The largest element over `dim`."""
    return _over(_fill(input, mask, _lowest(input.dtype)), dim, keepdim, dtype, "amax")


def amin(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The smallest element over `dim`."""
    return _over(_fill(input, mask, _highest(input.dtype)), dim, keepdim, dtype, "amin")


def argmax(
    input: Tensor, dim: Optional[int] = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The index of the largest element along `dim`, or in the flattened tensor, in the input's dtype."""
    return _fill(input, mask, _lowest(input.dtype)).argmax(dim, keepdim).to(dtype or input.dtype)


def argmin(
    input: Tensor, dim: Optional[int] = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The index of the smallest element along `dim`, or in the flattened tensor, in the input's dtype."""
    return _fill(input, mask, _highest(input.dtype)).argmin(dim, keepdim).to(dtype or input.dtype)


def _count(input: Tensor, mask: _Mask, dim: _Dims, keepdim: bool) -> Tensor:
    """How many elements count."""
    there = norch.ones_like(input, dtype=norch.bool) if mask is None else _full_mask(input, mask)
    return _over(there, dim, keepdim, norch.int64, "sum")


def mean(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The mean over `dim`; NaN where nothing counts."""
    dtype = dtype or input.dtype
    if _is_integral(dtype):
        raise ValueError(
            f"mean(): Could not infer output dtype. dtype must be either a floating point or complex dtype. Got: {dtype}"
        )
    return sum(input, dim, keepdim=keepdim, dtype=dtype, mask=mask) / _count(input, mask, dim, keepdim)


def median(
    input: Tensor, dim: int = -1, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The lower of the middle elements along `dim`; NaN where nothing counts, which integers cannot express."""
    values = input if input.dtype.is_floating_point else input.to(norch.float32)
    out, _ = norch.nanmedian(_fill(values, mask, math.nan), _one_dim(dim, input.ndim), keepdim)
    if input.dtype.is_floating_point:
        return out
    if norch.isnan(out).any():
        raise ValueError("masked median expects no fully masked out rows if dtype is not floating point")
    return out.to(dtype or input.dtype)


def logsumexp(
    input: Tensor, dim: _Dims = None, *, keepdim: bool = False, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """log(sum(exp(input))) over `dim`."""
    dims = _dims(dim, input.ndim)
    out = norch.logsumexp(_fill(input, mask, _lowest(input.dtype)), dims, keepdim=keepdim)
    return out.to(dtype or input.dtype)


def logaddexp(
    input: Tensor, other: Tensor, *, dtype: _DType = None, input_mask: _Mask = None, other_mask: _Mask = None
) -> Tensor:
    """log(exp(input) + exp(other)), each with a mask of its own."""
    a = _fill(input, input_mask, _lowest(input.dtype))
    b = _fill(other, other_mask, _lowest(other.dtype))
    return norch.logaddexp(a, b).to(dtype or input.dtype)


def norm(
    input: Tensor,
    ord: Optional[float] = 2.0,
    dim: _Dims = None,
    *,
    keepdim: bool = False,
    dtype: _DType = None,
    mask: _Mask = None,
) -> Tensor:
    """The vector norm of order `ord` over `dim`."""
    ord = 2.0 if ord is None else ord
    values = _fill(input, mask, math.inf if ord == -math.inf else 0)
    return norch.norm(values, ord, _dims(dim, input.ndim), keepdim, dtype=dtype or input.dtype)


def var(
    input: Tensor,
    dim: _Dims = None,
    unbiased: Optional[bool] = None,
    *,
    correction: Optional[float] = None,
    keepdim: bool = False,
    dtype: _DType = None,
    mask: _Mask = None,
) -> Tensor:
    """The variance over `dim`, divided by the count less the correction (1, unless `unbiased` is false)."""
    if unbiased is not None and correction is not None:
        raise ValueError("masked var and std: only one of unbiased and correction may be given")
    less = float(correction) if correction is not None else 0.0 if unbiased is False else 1.0
    dtype = dtype or (norch.float32 if _is_integral(input.dtype) else input.dtype)
    wide = norch.float32 if _is_integral(dtype) else dtype
    center = sum(input, dim, keepdim=True, dtype=dtype, mask=mask) / _count(input, mask, dim, True)
    offset = input - center
    total = sum(offset * offset.conj(), dim, keepdim=keepdim, dtype=wide, mask=mask)
    degrees = (_count(input, mask, dim, keepdim) - less).clamp(min=0)
    return (total / degrees).to(dtype)


def std(
    input: Tensor,
    dim: _Dims = None,
    unbiased: Optional[bool] = None,
    *,
    correction: Optional[float] = None,
    keepdim: bool = False,
    dtype: _DType = None,
    mask: _Mask = None,
) -> Tensor:
    """The square root of var."""
    return norch.sqrt(var(input, dim, unbiased, correction=correction, keepdim=keepdim, dtype=dtype, mask=mask))


def softmax(input: Tensor, dim: int, *, dtype: _DType = None, mask: _Mask = None) -> Tensor:
    """softmax along `dim`; 0 where masked, NaN where nothing counts."""
    return norch.softmax(_fill(input, mask, _lowest(input.dtype)), _one_dim(dim, input.ndim), dtype=dtype or input.dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: _DType = None, mask: _Mask = None) -> Tensor:
    """The logarithm of softmax."""
    values = _fill(input, mask, _lowest(input.dtype))
    return norch.log_softmax(values, _one_dim(dim, input.ndim), dtype=dtype or input.dtype)


def softmin(input: Tensor, dim: int, *, dtype: _DType = None, mask: _Mask = None) -> Tensor:
    """softmax of -input."""
    values = -_fill(input, mask, _highest(input.dtype))
    return norch.softmax(values, _one_dim(dim, input.ndim), dtype=dtype or input.dtype)


def normalize(
    input: Tensor, ord: float, dim: int, *, eps: float = 1e-12, dtype: _DType = None, mask: _Mask = None
) -> Tensor:
    """The input divided by its norm along `dim`, which counts as at least eps; 0 where masked."""
    size = norm(input, ord, dim, keepdim=True, dtype=dtype or input.dtype, mask=mask)
    return _fill(input, mask, 0) / norch.maximum(size, norch.full_like(size, eps))
