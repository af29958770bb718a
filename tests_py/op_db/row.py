"""What a row says, and what helps to write one."""

from __future__ import annotations

import operator
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

import norch

FLOATS = ("float16", "bfloat16", "float32", "float64")
INTS = ("uint8", "int8", "int16", "int32", "int64")
NUMBERS = INTS + FLOATS
ALL = ("bool",) + NUMBERS

# rtol, atol of a correctly working op whose result is of that dtype.
TOLERANCES = {"float16": (2e-3, 1e-5), "bfloat16": (1.6e-2, 1e-5), "float32": (3e-6, 1e-6), "float64": (1e-12, 1e-13),
              "complex64": (1e-5, 2e-6), "complex128": (1e-11, 1e-12)}


@dataclass
class Sample:
    """Arguments of one call. NumPy arrays become tensors; everything else is passed on."""

    args: Sequence[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)


@dataclass
class Error:
    """A call that must raise. NumPy arrays become tensors."""

    kind: type[Exception]
    text: str
    args: Sequence[Any]
    kwargs: dict[str, Any] = field(default_factory=dict)
    cpu_only: bool = False  # a GPU kernel does not look at the values, as in PyTorch


@dataclass
class OpRow:
    """An op.

    samples(dtype) lists Samples whose arrays have the NumPy dtype `dtype` (float64 for bfloat16, rounded by the
    driver); ref gets the same arguments and returns arrays. grad_samples lists float64 Samples that keep clear of
    kinks and poles.
    """

    name: str  # under norch: "exp", "nn.functional.gelu"
    samples: Callable[[str], list[Sample]]
    ref: Callable[..., Any]
    dtypes: Sequence[str] = FLOATS
    grad_samples: Callable[[], list[Sample]] | None = None
    result: Callable[[str], str] = lambda dtype: dtype  # the result's dtype
    method: str | None = "same"  # name of the Tensor method; "same" as the function, None without one
    in_place: str | None = None  # name of the in-place method
    tolerances: dict[str, tuple[float, float]] = field(default_factory=dict)
    double_backward: bool = True
    same_bits: bool = True  # the result does not depend on strides at all; sums may differ in the last bits
    errors: Sequence[Error] = ()
    constant: Sequence[int] = ()  # the positions of floating-point arguments that get no gradient
    id: str = ""

    def __post_init__(self):
        self.id = self.id or self.name
        if self.method == "same":
            self.method = self.name.rsplit(".", 1)[-1]

    def of(self, framework: Any) -> Callable[..., Any]:
        """The op of norch, or of another framework with its names."""
        return operator.attrgetter(self.name)(framework)

    @property
    def function(self) -> Callable[..., Any]:
        return self.of(norch)


def to_bool(dtype: str) -> str:
    return "bool"


def to_float(dtype: str) -> str:
    return dtype if dtype in FLOATS else "float32"


def numpy_dtype(dtype: str) -> str:
    return "float64" if dtype == "bfloat16" else dtype


SHAPES = ((), (0,), (1,), (5,), (37,), (2, 3), (4, 0, 2), (3, 1, 4))


def random_array(shape, dtype: str, low: float = -4, high: float = 4) -> np.ndarray:
    """Evenly distributed numbers in [low, high) of the dtype."""
    kind = np.dtype(numpy_dtype(dtype))
    if kind == bool:
        return np.random.randint(0, 2, shape).astype(bool)
    if kind.kind in "iu":
        return np.random.randint(max(low, np.iinfo(kind).min), high, shape).astype(kind)
    return np.asarray(np.random.uniform(low, high, shape)).astype(kind)


SPECIAL = (np.nan, np.inf, -np.inf, 0.0, -0.0, 1.0, -1.0, 0.5, -2.5, 1.5, 2.5, 1e-30, 1e30)


def unary_samples(low: float = -4, high: float = 4, special: bool = True, args=(), **kwargs):
    """One tensor of each shape and, for floats, the special values."""

    def samples(dtype: str) -> list[Sample]:
        bottom = low if dtype != "uint8" else max(low, 0)
        out = [Sample([random_array(s, dtype, bottom, high), *args], kwargs) for s in SHAPES]
        if special and dtype in ("float32", "float64"):
            out.append(Sample([np.array(SPECIAL, dtype), *args], kwargs))
        return out

    return samples


def unary_grad(low: float = -4, high: float = 4, clear_of: Sequence[float] = (), args=(), **kwargs):
    """Float64 inputs at least 0.05 away from the points `clear_of`."""

    def samples() -> list[Sample]:
        out = []
        for shape in ((), (5,), (2, 3)):
            x = np.asarray(np.random.uniform(low, high, shape))
            for point in clear_of:
                x = np.where(np.abs(x - point) < 0.05, point + 0.1, x)
            out.append(Sample([x, *args], kwargs))
        return out

    return samples


PAIRS = (
    ((), ()),
    ((5,), (5,)),
    ((0,), (0,)),
    ((37,), (1,)),
    ((2, 3), (3,)),
    ((2, 1, 4), (3, 1)),
    ((4, 5), ()),
    ((3,), (2, 3)),
)


def binary_samples(a=(-4, 4), b=(-4, 4), special: bool = True, nonzero: bool = False, numbers: Sequence[Any] = ()):
    """Two tensors of shapes that broadcast; special values against each other; Python numbers as the second."""

    def make(shape, dtype, bounds):
        low, high = bounds
        return random_array(shape, dtype, max(low, 0) if dtype == "uint8" else low, high)

    def samples(dtype: str) -> list[Sample]:
        out = []
        for first, second in PAIRS:
            x, y = make(first, dtype, a), make(second, dtype, b)
            if nonzero and np.dtype(numpy_dtype(dtype)).kind in "iu":
                y = np.where(y == 0, np.ones_like(y), y)
            out.append(Sample([x, y]))
        if special and dtype in ("float32", "float64"):
            values = np.array(SPECIAL, dtype)
            out.append(Sample([values[:, None], values]))
        for n in numbers:
            if not (dtype == "uint8" and n < 0):
                out.append(Sample([make((2, 3), dtype, a), n]))
        return out

    return samples


def binary_grad(a=(-4.0, 4.0), b=(-4.0, 4.0)):
    def samples() -> list[Sample]:
        return [
            Sample([np.asarray(np.random.uniform(*a, s)), np.asarray(np.random.uniform(*b, t))])
            for s, t in (((), ()), ((4,), (4,)), ((2, 3), (3,)), ((2, 1), (1, 3)))
        ]

    return samples
