"""Elementwise functions of the array API standard."""

from __future__ import annotations

from typing import Any, Callable

import norch
from norch import Tensor
from norch.array_api._dtypes import is_kind, promoted

# By the standard's name: norch's.
_UNARY = {
    name: name
    for name in (
        "abs acos acosh asin asinh atan atanh ceil conj cos cosh exp expm1 floor imag isfinite isinf isnan log log1p "
        "log2 log10 logical_not positive reciprocal round signbit sin sinh square sqrt tan tanh trunc"
    ).split()
}
_UNARY |= {"bitwise_invert": "bitwise_not", "negative": "neg", "real": "real"}
_BINARY = {
    name: name
    for name in (
        "add atan2 bitwise_and bitwise_left_shift bitwise_or bitwise_right_shift bitwise_xor copysign "
        "hypot logaddexp logical_and logical_or logical_xor maximum minimum nextafter pow"
    ).split()
}
_BINARY |= {
    "divide": "div",
    "equal": "eq",
    "greater": "gt",
    "greater_equal": "ge",
    "less": "lt",
    "less_equal": "le",
    "multiply": "mul",
    "not_equal": "ne",
    "subtract": "sub",
}
__all__ = [*_UNARY, *_BINARY, "clip", "floor_divide", "remainder", "sign"]


def _unary(name: str, op: Callable) -> Callable:
    def function(x, /):
        return op(x)

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The array API's {name}: norch.{op.__name__}."
    return function


def _binary(name: str, op: Callable) -> Callable:
    def function(x1, x2, /):
        return op(*promoted(x1, x2))

    function.__name__ = function.__qualname__ = name
    function.__doc__ = f"The array API's {name}: norch.{op.__name__} of both arguments in the dtype that they promote to."
    return function


for _name, _op in _UNARY.items():
    globals()[_name] = _unary(_name, getattr(norch, _op))
for _name, _op in _BINARY.items():
    globals()[_name] = _binary(_name, getattr(norch, _op))


def floor_divide(x1, x2, /):
    """The quotient rounded down. Unlike norch's (and PyTorch's), infinite where the dividend is."""
    x1, x2 = promoted(x1, x2)
    result = norch.floor_divide(x1, x2)
    if not x1.dtype.is_floating_point:
        return result
    return norch.where(norch.logical_or(norch.isinf(x1), norch.isinf(x2)), x1 / x2, result)


def remainder(x1, x2, /):
    """The rest of the division, with the divisor's sign, also where it is 0."""
    x1, x2 = promoted(x1, x2)
    result = norch.remainder(x1, x2)
    return norch.where(result == 0, norch.copysign(result, x2), result) if x1.dtype.is_floating_point else result


def sign(x, /):
    """-1, 0 or 1, of complex numbers x / |x|; NaN of NaN."""
    result = norch.sgn(x)
    return norch.where(norch.isnan(x), x, result) if x.dtype.is_floating_point else result


def _limit(x: Tensor, bound: Any, lowest: bool) -> Any:
    """The bound as an array of x's dtype; None where every number of x keeps to it."""
    if bound is None:
        return None
    if is_kind(x.dtype, "integral") and not isinstance(bound, Tensor):
        info = norch.iinfo(x.dtype)
        if (bound <= info.min) if lowest else (bound >= info.max):
            return None
    return bound.to(x.dtype) if isinstance(bound, Tensor) else norch.tensor(bound, dtype=x.dtype, device=x.device)


def clip(x, /, min=None, max=None):
    """x limited to [min, max]; either may be None, a number or an array that broadcasts. The result has x's dtype."""
    low, high = _limit(x, min, True), _limit(x, max, False)
    result = x if low is None else norch.maximum(x, low)
    result = result if high is None else norch.minimum(result, high)
    return result.clone() if result is x else result
