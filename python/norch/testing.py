"""assert_close, for tests of programs that compute with tensors."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Callable

import norch

__all__ = ["assert_allclose", "assert_close"]

# (rtol, atol) by dtype, as in PyTorch; exact for integers and bool.
_TOLERANCES = {
    norch.float16: (1e-3, 1e-5),
    norch.bfloat16: (1.6e-2, 1e-5),
    norch.float32: (1.3e-6, 1e-5),
    norch.float64: (1e-7, 1e-7),
    norch.complex64: (1.3e-6, 1e-5),
    norch.complex128: (1e-7, 1e-7),
}


def _fail(text: str, msg: Any, where: str, kind: type[Exception] = AssertionError) -> None:
    text += f"\n\nThe failure occurred for item {where}" if where else ""
    raise kind(text if msg is None else msg(text) if callable(msg) else msg)


def _tolerances(a: Any, b: Any, rtol: float | None, atol: float | None) -> tuple[float, float]:
    if rtol is not None and atol is not None:
        return rtol, atol
    if (rtol is None) != (atol is None):
        raise ValueError(f"Expected both 'rtol' and 'atol' to be either set or None, but got rtol={rtol} and atol={atol}")
    both = [_TOLERANCES.get(t.dtype, (0.0, 0.0)) for t in (a, b)]
    return max(t[0] for t in both), max(t[1] for t in both)


def _compare_tensors(a: Any, b: Any, rtol: Any, atol: Any, equal_nan: bool, options: dict, msg: Any, where: str) -> None:
    if a.shape != b.shape:
        _fail(f"The values for attribute 'shape' do not match: {a.shape} != {b.shape}.", msg, where)
    if options["check_device"] and a.device != b.device:
        _fail(f"The values for attribute 'device' do not match: {a.device} != {b.device}.", msg, where)
    if options["check_dtype"] and a.dtype != b.dtype:
        _fail(f"The values for attribute 'dtype' do not match: {a.dtype} != {b.dtype}.", msg, where)
    if options["check_stride"] and a.stride() != b.stride():
        _fail(f"The values for attribute 'stride()' do not match: {a.stride()} != {b.stride()}.", msg, where)
    rtol, atol = _tolerances(a, b, rtol, atol)
    a, b = a.detach().cpu(), b.detach().cpu()
    dtype = norch.promote_types(a.dtype, b.dtype)
    if dtype in (norch.float16, norch.bfloat16):
        dtype = norch.float32
    a, b = a.to(dtype), b.to(dtype)
    close = norch.isclose(a, b, rtol=rtol, atol=atol, equal_nan=equal_nan) if rtol or atol or equal_nan else a == b
    if bool(close.all()):
        return
    _fail(_describe(a, b, ~close, rtol, atol, options["scalar"]), msg, where)


def _describe(a: Any, b: Any, wrong: Any, rtol: float, atol: float, scalar: bool) -> str:
    wide = norch.complex128 if a.is_complex() else norch.float64
    difference = (a.to(wide) - b.to(wide)).abs()
    relative = difference / b.to(wide).abs()
    exact = rtol == 0 and atol == 0

    def allowed(tolerance: float) -> str:
        return "" if exact else f" (up to {tolerance} allowed)"

    if scalar or a.dim() == 0:
        kind = "Scalars" if scalar else "Tensor-likes"
        text = f"{kind} are not {'equal' if exact else 'close'}!\n\n"
        if exact:
            return text + f"Expected {b.item()} but got {a.item()}.\nAbsolute difference: {difference.item()}\nRelative difference: {relative.item()}"
        return (
            f"{text}Expected {b.item()} but got {a.item()}.\nAbsolute difference: {difference.item()}{allowed(atol)}\n"
            f"Relative difference: {relative.item()}{allowed(rtol)}"
        )
    count, total = int(wrong.sum()), wrong.numel()

    def greatest(values: Any) -> tuple[float, tuple]:
        masked = values.masked_fill(~wrong, -math.inf).nan_to_num(nan=-math.inf, posinf=math.inf, neginf=-math.inf)
        at = int(masked.flatten().argmax())
        index = []
        for size in reversed(values.shape):
            at, i = divmod(at, size)
            index.append(i)
        return float(values[tuple(reversed(index))]), tuple(reversed(index))

    most, where = greatest(difference)
    most_relative, where_relative = greatest(relative)
    return (
        f"Tensor-likes are not {'equal' if exact else 'close'}!\n\n"
        f"Mismatched elements: {count} / {total} ({count / total:.1%})\n"
        f"Greatest absolute difference: {most} at index {where}{allowed(atol)}\n"
        f"Greatest relative difference: {most_relative} at index {where_relative}{allowed(rtol)}"
    )


def _is_array(x: Any) -> bool:
    return hasattr(x, "__array_interface__")


def _compare(a: Any, b: Any, where: str, check: Callable[..., None], msg: Any, allow_subclasses: bool) -> None:
    if isinstance(a, Mapping) and isinstance(b, Mapping):
        if set(a) != set(b):
            _fail(f"The keys of the mappings do not match: {sorted(map(repr, set(a) ^ set(b)))}", msg, where)
        for key in a:
            _compare(a[key], b[key], f"{where}[{key!r}]", check, msg, allow_subclasses)
        return
    plain = (str, bytes)
    if isinstance(a, Sequence) and isinstance(b, Sequence) and not isinstance(a, plain) and not isinstance(b, plain):
        if len(a) != len(b):
            _fail(f"The length of the sequences mismatch: {len(a)} != {len(b)}", msg, where)
        for i, (x, y) in enumerate(zip(a, b)):
            _compare(x, y, f"{where}[{i}]", check, msg, allow_subclasses)
        return
    if a is None or b is None:
        if a is not b:
            _fail(f"None mismatch: {a} is not {b}", msg, where)
        return
    tensors = isinstance(a, norch.Tensor) and isinstance(b, norch.Tensor)
    if tensors or (_is_array(a) and _is_array(b)):
        if not allow_subclasses and type(a) is not type(b):
            _fail(f"Comparing {type(a)} and {type(b)} is not allowed (allow_subclasses=False)", msg, where, TypeError)
        check(norch.as_tensor(a), norch.as_tensor(b), where, False)
        return
    numbers = (bool, int, float, complex)
    if isinstance(a, numbers) and isinstance(b, numbers):
        if isinstance(a, bool) != isinstance(b, bool):
            _fail(f"Comparing {type(a)} and {type(b)} is not possible", msg, where, TypeError)
        check(_number(a), _number(b), where, True)
        return
    _fail(
        f"No comparison pair was able to handle inputs of type {type(a)} and {type(b)}.", msg, where, TypeError
    )


def _number(value: Any) -> Any:
    dtype = {bool: norch.bool, int: norch.int64, float: norch.float64}.get(type(value), norch.complex128)
    return norch.tensor(value, dtype=dtype)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: str | Callable[[str], str] | None = None,
) -> None:
    """Raises AssertionError unless |actual - expected| <= atol + rtol * |expected| everywhere, and shapes, dtypes and
    devices agree. Tensors, arrays, numbers, and sequences and mappings of them. The tolerances default to those of the
    dtype: float32 1.3e-6 and 1e-5, float64 1e-7 both, float16 1e-3 and 1e-5, bfloat16 1.6e-2 and 1e-5, integers 0.

        >>> norch.testing.assert_close(norch.ones(2), norch.ones(2) + 1e-7)"""
    options = {"check_device": check_device, "check_dtype": check_dtype, "check_stride": check_stride}

    def check(a: Any, b: Any, where: str, scalar: bool) -> None:
        own = dict(options, scalar=scalar, check_dtype=check_dtype and not scalar)
        _compare_tensors(a, b, rtol, atol, equal_nan, own, msg, where)

    _compare(actual, expected, "", check, msg, allow_subclasses)


def assert_allclose(
    actual: Any, expected: Any, rtol: float | None = None, atol: float | None = None, equal_nan: bool = True, msg: Any = ""
) -> None:
    """The old form of assert_close: dtypes may differ, and NaN equals NaN."""
    if not isinstance(actual, norch.Tensor):
        actual = norch.tensor(actual)
    if not isinstance(expected, norch.Tensor):
        expected = norch.tensor(expected, dtype=actual.dtype)
    assert_close(
        actual, expected, rtol=rtol, atol=atol, equal_nan=equal_nan, check_device=True, check_dtype=False, msg=msg or None
    )
