"""Dtypes of the array API standard: promotion, kinds, limits."""

from __future__ import annotations

from typing import Any

import norch
from norch import Tensor

__all__ = ["astype", "can_cast", "finfo", "iinfo", "isdtype", "result_type"]

_KINDS = {
    "bool": (norch.bool,),
    "signed integer": (norch.int8, norch.int16, norch.int32, norch.int64),
    "unsigned integer": (norch.uint8, norch.uint16, norch.uint32, norch.uint64),
    "real floating": (norch.float16, norch.bfloat16, norch.float32, norch.float64),
    "complex floating": (norch.complex64, norch.complex128),
}
_KINDS["integral"] = _KINDS["signed integer"] + _KINDS["unsigned integer"]
_KINDS["numeric"] = _KINDS["integral"] + _KINDS["real floating"] + _KINDS["complex floating"]


def is_kind(dtype, *kinds: str) -> bool:
    return any(dtype == t for kind in kinds for t in _KINDS[kind])


def with_scalar(dtype, scalar: bool | int | float | complex):
    """The dtype of an array of `dtype` together with a Python number."""
    if isinstance(scalar, bool) or (isinstance(scalar, int) and dtype != norch.bool):
        return dtype
    if isinstance(scalar, int):
        return norch.int64
    if isinstance(scalar, complex):
        if dtype.is_complex:
            return dtype
        return (dtype if dtype.is_floating_point else norch.get_default_dtype()).to_complex()
    return dtype if dtype.is_floating_point or dtype.is_complex else norch.get_default_dtype()


def promoted(*arrays: Any) -> list:
    """Arrays and Python numbers as tensors of one dtype."""
    dtype = result_type(*arrays)
    device = next((x.device for x in arrays if isinstance(x, Tensor)), None)
    return [x.to(dtype) if isinstance(x, Tensor) else norch.tensor(x, dtype=dtype, device=device) for x in arrays]


def astype(x: Tensor, dtype, /, *, copy: bool = True, device=None) -> Tensor:
    """The array in another dtype; a copy unless `copy` is false and nothing changes."""
    return x.to(device=x.device if device is None else device, dtype=dtype, copy=copy)


def can_cast(from_, to, /) -> bool:
    """Whether promotion may turn the one dtype (or an array's) into the other."""
    source = from_.dtype if isinstance(from_, Tensor) else from_
    try:
        return norch.promote_types(source, to) == to
    except RuntimeError:
        return False


class _Limits:
    """Limits of a dtype; `dtype` is the dtype itself."""

    def __init__(self, limits: Any, dtype, names: tuple[str, ...]) -> None:
        self.dtype = dtype
        for name in names:
            setattr(self, name, getattr(limits, name))

    def __repr__(self) -> str:
        return f"limits({', '.join(f'{k}={v}' for k, v in vars(self).items())})"


def finfo(type, /) -> _Limits:
    """Limits of a floating-point dtype or an array's: bits, eps, max, min, smallest_normal, dtype (of the parts, for
    complex dtypes)."""
    dtype = type.dtype if isinstance(type, Tensor) else type
    limits = norch.finfo(dtype)
    return _Limits(limits, dtype.to_real(), ("bits", "eps", "max", "min", "smallest_normal"))


def iinfo(type, /) -> _Limits:
    """Limits of an integer dtype or an array's: bits, max, min, dtype."""
    dtype = type.dtype if isinstance(type, Tensor) else type
    return _Limits(norch.iinfo(dtype), dtype, ("bits", "max", "min"))


def isdtype(dtype, kind) -> bool:
    """Whether the dtype is of a kind: a dtype, "bool", "signed integer", "unsigned integer", "integral", "real
    floating", "complex floating", "numeric", or a tuple of those."""
    if isinstance(kind, tuple):
        return any(isdtype(dtype, k) for k in kind)
    if isinstance(kind, str):
        if kind not in _KINDS:
            raise ValueError(f"isdtype: unknown kind {kind!r}; expected one of {', '.join(_KINDS)}")
        return is_kind(dtype, kind)
    return dtype == kind


def result_type(*arrays_and_dtypes):
    """The dtype that arrays, dtypes and Python numbers promote to. 0-d arrays count as any other."""
    dtypes = [getattr(x, "dtype", x) for x in arrays_and_dtypes if isinstance(x, (Tensor, norch.dtype))]
    if not dtypes:
        raise ValueError("result_type: expected at least one array or dtype")
    result = dtypes[0]
    for dtype in dtypes[1:]:
        if dtype != result:
            result = norch.promote_types(result, dtype)
    for x in arrays_and_dtypes:
        if not isinstance(x, (Tensor, norch.dtype)):
            result = with_scalar(result, x)
    return result
