"""Limits of dtypes: `norch.finfo` and `norch.iinfo`."""

from __future__ import annotations

from norch import _C


def _as_dtype(given: object) -> object:
    """The dtype that Python's own float, int and complex stand for; others as they are."""
    if given is float:
        return _C.float64
    if given is int:
        return _C.int64
    return _C.complex128 if given is complex else given


class finfo:
    """finfo(type=None): limits of a floating-point dtype (default: the default dtype), or of a complex dtype's parts.
    Python's float means float64.

    `bits` of an element, `eps` (the distance from 1 to the next number), `max`, `min`, `smallest_normal` (also as
    `tiny`), `resolution` (of decimal output), and the `dtype`'s name. TypeError for other dtypes.

    >>> norch.finfo(norch.float32).bits
    32
    """

    # (bits, bits of the significand after the point, largest exponent), as IEEE 754 has them.
    _FORMATS = {
        "float16": (16, 10, 15),
        "bfloat16": (16, 7, 127),
        "float32": (32, 23, 127),
        "float64": (64, 52, 1023),
    }
    _PARTS = {"complex64": "float32", "complex128": "float64"}

    def __init__(self, type: _C.dtype | type[float] | type[complex] | None = None) -> None:
        of = _C.get_default_dtype() if type is None else _as_dtype(type)
        name = str(of).rpartition(".")[2]  # after "norch." or, under norch.compat, "torch."
        self.dtype = self._PARTS.get(name, name)
        if not isinstance(of, _C.dtype) or self.dtype not in self._FORMATS:
            raise TypeError(f"finfo() requires a floating point or complex dtype, got {type}; use iinfo for integers")
        self.bits, digits, exponent = self._FORMATS[self.dtype]
        self.eps = 2.0**-digits
        self.max = (2 - self.eps) * 2.0**exponent
        self.min = -self.max
        self.smallest_normal = self.tiny = 2.0 ** (1 - exponent)
        self.resolution = {"float16": 1e-3, "bfloat16": 1e-2, "float32": 1e-6, "float64": 1e-15}[self.dtype]

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, finfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)


class iinfo:
    """iinfo(type): limits of an integer dtype: `bits` of an element, `max`, `min`, and the `dtype`'s name.
    Python's int means int64. TypeError for other dtypes.

    >>> norch.iinfo(norch.int8).max
    127
    """

    def __init__(self, type: _C.dtype | type[int]) -> None:
        of = _as_dtype(type)
        if not isinstance(of, _C.dtype) or of.is_floating_point or of.is_complex or of == _C.bool:
            raise TypeError(f"iinfo() requires an integer dtype, got {type}; use finfo for floating-point dtypes")
        self.dtype = str(of).rpartition(".")[2]
        self.bits = 8 * of.itemsize
        self.max = 2 ** (self.bits - (1 if of.is_signed else 0)) - 1
        self.min = -self.max - 1 if of.is_signed else 0

    def __repr__(self) -> str:
        return f"iinfo(min={self.min}, max={self.max}, dtype={self.dtype})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, iinfo) and self.dtype == other.dtype

    def __hash__(self) -> int:
        return hash(self.dtype)
