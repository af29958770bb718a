"""Ops of complex numbers. Rows of ops that real numbers have too are named "complex OP"."""

import numpy as np

from .row import PAIRS, SHAPES, OpRow, Sample, to_bool

COMPLEX = ("complex64", "complex128")


def numbers(shape, dtype="complex128", size=2.0):
    """Numbers with both parts in [-size, size), clear of the axes, where functions have cuts, poles and zeros."""
    parts = np.random.uniform(0.1, size, (2, *shape)) * np.random.choice([-1.0, 1.0], (2, *shape))
    return np.asarray(parts[0] + 1j * parts[1]).astype(dtype)


def to_part(dtype):
    return {"complex64": "float32", "complex128": "float64"}[dtype]


def one(name, ref, result=None, grad=True, in_place=True, **row):
    """An op of one tensor, element by element."""
    return OpRow(
        name,
        lambda dtype: [Sample([numbers(s, dtype)]) for s in SHAPES],
        ref,
        COMPLEX,
        (lambda: [Sample([numbers(s)]) for s in ((), (5,), (2, 3))]) if grad else None,
        result or (lambda dtype: dtype),
        in_place=name + "_" if in_place else None,
        id=f"complex {name}",
        **row,
    )


def two(name, ref, result=None, grad=True, in_place=True, **row):
    """An op of two tensors, element by element."""
    return OpRow(
        name,
        lambda dtype: [Sample([numbers(a, dtype), numbers(b, dtype)]) for a, b in PAIRS],
        ref,
        COMPLEX,
        (lambda: [Sample([numbers(a), numbers(b)]) for a, b in (((5,), (5,)), ((2, 3), (3,)))]) if grad else None,
        result or (lambda dtype: dtype),
        in_place=name + "_" if in_place else None,
        id=f"complex {name}",
        **row,
    )


def over_dims(name, ref, *args, result=None, samples=((4,), (3, 4)), **row):
    """A reduction or scan of one tensor."""

    def make(dtype):
        return [Sample([numbers(s, dtype), *args]) for s in samples]

    return OpRow(
        name,
        make,
        ref,
        COMPLEX,
        lambda: make("complex128"),
        result or (lambda dtype: dtype),
        same_bits=False,
        id=f"complex {name}{list(args) if args else ''}",
        **row,
    )


def product(name, ref, *shapes):
    def make(dtype):
        return [Sample([numbers(s, dtype) for s in pair]) for pair in shapes]

    return OpRow(name, make, ref, COMPLEX, lambda: make("complex128"), same_bits=False, id=f"complex {name}")


def sgn(z):
    return np.where(z == 0, 0, z / np.where(z == 0, 1, np.abs(z)))


def rms_norm(z, shape):
    return z / np.sqrt((z * z).mean(-1, keepdims=True) + np.finfo(z.real.dtype).eps)


ROWS = [
    one("acos", np.arccos),
    one("acosh", np.arccosh),
    one("asin", np.arcsin),
    one("asinh", np.arcsinh),
    one("atan", np.arctan),
    one("atanh", np.arctanh),
    one("cos", np.cos),
    one("cosh", np.cosh),
    one("exp", np.exp),
    one("exp2", np.exp2),
    one("expm1", np.expm1),
    one("log", np.log),
    one("log10", np.log10),
    one("log1p", np.log1p),
    one("log2", np.log2),
    one("neg", np.negative),
    one("reciprocal", np.reciprocal),
    one("rsqrt", lambda z: 1 / np.sqrt(z)),
    one("sigmoid", lambda z: 1 / (1 + np.exp(-z))),
    one("sin", np.sin),
    one("sinc", lambda z: np.sin(np.pi * z) / (np.pi * z), tolerances={"complex64": (1e-4, 1e-5)}),
    one("sinh", np.sinh),
    one("sqrt", np.sqrt),
    one("square", np.square),
    one("tan", np.tan),
    one("tanh", np.tanh),
    one("sgn", sgn),
    one("nn.functional.silu", lambda z: z / (1 + np.exp(-z)), in_place=False, method=None),
    one("conj_physical", np.conj),
    one("abs", np.abs, to_part, in_place=False),
    one("angle", np.angle, to_part, in_place=False),
    one("conj", np.conj, in_place=False),
    one("real", np.real, to_part, in_place=False, method=None),
    one("imag", np.imag, to_part, in_place=False, method=None),
    one("isnan", np.isnan, to_bool, False, False),
    one("isinf", np.isinf, to_bool, False, False),
    one("isfinite", np.isfinite, to_bool, False, False),
    one("isreal", np.isreal, to_bool, False, False),
    one("view_as_real", lambda z: np.stack([z.real, z.imag], -1), to_part, in_place=False, method=None),
    two("add", np.add),
    two("sub", np.subtract),
    two("mul", np.multiply),
    two("div", np.divide),
    two("pow", np.power),
    two("logaddexp", lambda a, b: np.log(np.exp(a) + np.exp(b)), in_place=False),
    two("eq", np.equal, to_bool, False, False),
    two("ne", np.not_equal, to_bool, False, False),
    two("logical_and", np.logical_and, to_bool, False, False),
    over_dims("sum", lambda z: z.sum()),
    over_dims("sum", lambda z, d: z.sum(d), -1),
    over_dims("mean", lambda z: z.mean()),
    over_dims("prod", lambda z: z.prod()),
    over_dims("prod", lambda z, d: z.prod(d), 0),
    over_dims("var", lambda z: z.var(ddof=1), result=to_part),
    over_dims("std", lambda z: z.std(ddof=1), result=to_part),
    over_dims("cumsum", np.cumsum, 0, samples=((4,), (5,))),
    over_dims("cumprod", np.cumprod, 0, samples=((4,), (5,))),
    over_dims("logsumexp", lambda z, d: np.log(np.exp(z).sum(d)), -1),
    over_dims("logcumsumexp", lambda z, d: np.log(np.cumsum(np.exp(z), d)), 0, samples=((4,), (5,))),
    over_dims("nn.functional.rms_norm", rms_norm, [4], samples=((3, 4),), method=None),
    over_dims("norm", lambda z: np.sqrt((np.abs(z) ** 2).sum()), result=to_part),
    product("matmul", np.matmul, ((3, 4), (4, 2)), ((2, 3, 4), (4, 5)), ((4,), (4, 2)), ((2, 2, 3), (2, 3, 2))),
    product("dot", np.dot, ((4,), (4,))),
    product("vdot", np.vdot, ((4,), (4,))),
    product("outer", np.outer, ((3,), (4,))),
]
