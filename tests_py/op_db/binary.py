"""Elementwise ops of two tensors or numbers."""

import numpy as np
import scipy.special as sp

from .row import ALL, FLOATS, INTS, NUMBERS, Error, OpRow, binary_grad, binary_samples, to_bool, to_float

A, B = np.ones((2, 3), np.float32), np.ones((4,), np.float32)
MISMATCH = Error(RuntimeError, r"shapes \[2, 3\] and \[4\] do not broadcast", [A, B])


def wrapping(f):
    """NumPy integer arithmetic with its wrap-around, silently; numbers take the array's dtype."""

    def call(a, b, **kwargs):
        dtype = np.asarray(a).dtype
        if dtype.kind in "iu" and isinstance(b, int):
            b = np.array(b).astype(dtype)
        return f(a, b, **kwargs)

    return call


def in_float(f):
    return lambda a, b: f(np.asarray(a, np.float64), np.asarray(b, np.float64))


def arithmetic(name, ref, dtypes=NUMBERS, numbers=(2,), **row):
    row.setdefault("grad_samples", binary_grad())
    row.setdefault("in_place", name + "_")
    samples = row.pop("samples", binary_samples(numbers=numbers))
    row.setdefault("errors", [MISMATCH])
    return OpRow(name, samples, wrapping(ref), dtypes, **row)


def comparison(name, ref):
    return OpRow(name, binary_samples(numbers=(1, 0.5)), ref, ALL, None, to_bool, errors=[MISMATCH])


def logic(name, ref):
    return OpRow(name, binary_samples(), ref, ALL, None, to_bool, errors=[MISMATCH])


def bits(name, ref, dtypes=("bool",) + INTS, numbers=(3,)):
    floats = Error(NotImplementedError, "float32", [A, A])
    return OpRow(
        name,
        binary_samples(special=False, b=(0, 6), numbers=numbers if dtypes == INTS else ()),
        wrapping(ref),
        dtypes,
        in_place=name + "_",
        errors=[floats],
    )


def trunc_divide(a, b, rounding_mode=None):
    if np.asarray(a).dtype.kind in "iu":
        return np.trunc(np.asarray(a, np.float64) / b)
    return np.trunc(a / b)


def floor_divide(a, b, rounding_mode=None):
    # PyTorch gives inf / y the quotient's infinity or NaN, as NumPy does; x / 0 is infinite in both.
    a, b = np.broadcast_arrays(a, b)
    if a.dtype.kind in "iu":
        return np.floor_divide(a, b)
    out = np.floor_divide(a, b)
    return np.where(b == 0, a / b, out)


def pow_ref(a, b):
    a, b = np.broadcast_arrays(a, b)
    if a.dtype.kind in "iu" and b.dtype.kind in "iu":
        # A negative power of an integer is 1, -1 or (truncated) 0; others wrap around.
        pairs = [(int(x), int(y)) for x, y in zip(a.flat, b.flat)]
        whole = [x**y if y >= 0 else int(x in (1, -1) and x**-y) for x, y in pairs]
        wrapped = [v % 2 ** (8 * a.dtype.itemsize) for v in whole]
        return np.array(wrapped, np.uint64).astype(f"u{a.dtype.itemsize}").view(a.dtype).reshape(a.shape)
    return np.power(a.astype(np.float64), b)


WIDE = {"float32": (1e-5, 1e-5), "float64": (1e-11, 1e-11), "float16": (1e-2, 4e-3), "bfloat16": (6e-2, 4e-2)}

ROWS = [
    arithmetic("add", np.add, NUMBERS),
    arithmetic("sub", np.subtract),
    arithmetic("mul", np.multiply),
    OpRow("add", binary_samples(), np.logical_or, ("bool",), id="add_bool"),
    OpRow("mul", binary_samples(), np.logical_and, ("bool",), id="mul_bool"),
    arithmetic("rsub", lambda a, b: np.subtract(b, a), in_place=None, errors=()),
    arithmetic(
        "div",
        in_float(np.divide),
        ALL,
        result=to_float,
        grad_samples=binary_grad(b=(0.5, 3)),
        numbers=(2, 2.5),
    ),
    arithmetic(
        "floor_divide",
        floor_divide,
        grad_samples=None,
        samples=binary_samples(nonzero=True, special=False),
    ),
    arithmetic(
        "remainder",
        np.mod,
        samples=binary_samples(nonzero=True, special=False),
        grad_samples=binary_grad(a=(0.6, 0.9), b=(1, 2)),
        tolerances=WIDE,
    ),
    arithmetic(
        "fmod",
        np.fmod,
        samples=binary_samples(nonzero=True, special=False),
        grad_samples=binary_grad(a=(0.6, 0.9), b=(1, 2)),
        tolerances=WIDE,
    ),
    arithmetic(
        "pow",
        pow_ref,
        FLOATS,
        samples=binary_samples(a=(0, 3), numbers=(2, 3, 0.5, -0.5, -1, 0, 2.5)),
        grad_samples=binary_grad(a=(0.3, 2), b=(-2, 2)),
        tolerances={"float32": (1e-5, 1e-6)},
    ),
    OpRow(
        "pow",
        binary_samples(special=False),
        pow_ref,
        INTS,
        in_place="pow_",
        id="pow_int",
        errors=[Error(RuntimeError, "Integers to negative integer powers", [np.array([2]), -1])],
    ),
    OpRow(
        "float_power",
        binary_samples(a=(0.1, 3), special=False, numbers=(2, 0.5)),
        lambda a, b: np.power(np.asarray(a, np.float64), np.asarray(b, np.float64)),
        ("float16", "float32", "float64"),
        binary_grad(a=(0.3, 2), b=(-2, 2)),
        lambda dtype: "float64",
    ),
    OpRow("atan2", binary_samples(), in_float(np.arctan2), ALL, binary_grad(a=(0.3, 3)), to_float, in_place="atan2_"),
    OpRow("hypot", binary_samples(), np.hypot, FLOATS, binary_grad(a=(0.3, 3)), in_place="hypot_"),
    OpRow(
        "copysign",
        binary_samples(numbers=(-2.0,)),
        np.copysign,
        FLOATS,
        binary_grad(a=(0.3, 3), b=(0.3, 3)),
        in_place="copysign_",
    ),
    OpRow(
        "nextafter",
        binary_samples(special=False),
        np.nextafter,
        ("float64",),
        binary_grad(a=(0.3, 2), b=(3, 4)),
        in_place="nextafter_",
        tolerances={"float64": (0, 0)},
    ),
    OpRow("maximum", binary_samples(), np.maximum, ALL, binary_grad(), errors=[MISMATCH]),
    OpRow("minimum", binary_samples(), np.minimum, ALL, binary_grad(), errors=[MISMATCH]),
    OpRow("fmax", binary_samples(), np.fmax, ALL, binary_grad()),
    OpRow("fmin", binary_samples(), np.fmin, ALL, binary_grad()),
    OpRow("logaddexp", binary_samples(), np.logaddexp, FLOATS, binary_grad()),
    OpRow("logaddexp2", binary_samples(), np.logaddexp2, FLOATS, binary_grad()),
    OpRow(
        "xlogy",
        binary_samples(b=(0.1, 4), numbers=(2.5,)),
        lambda a, b: sp.xlogy(np.asarray(a, np.float64), b),
        FLOATS,
        binary_grad(b=(0.3, 4)),
        in_place="xlogy_",
    ),
    comparison("eq", np.equal),
    comparison("ne", np.not_equal),
    comparison("lt", np.less),
    comparison("le", np.less_equal),
    comparison("gt", np.greater),
    comparison("ge", np.greater_equal),
    logic("logical_and", np.logical_and),
    logic("logical_or", np.logical_or),
    logic("logical_xor", np.logical_xor),
    bits("bitwise_and", np.bitwise_and),
    bits("bitwise_or", np.bitwise_or),
    bits("bitwise_xor", np.bitwise_xor),
    bits("bitwise_left_shift", np.left_shift, INTS),
    bits("bitwise_right_shift", np.right_shift, INTS),
    OpRow(
        "isclose",
        binary_samples(),
        lambda a, b: np.isclose(a, b),
        NUMBERS,
        None,
        to_bool,
        errors=[Error(RuntimeError, "did not match", [A, np.ones(3)])],
    ),
]
