"""Linear algebra whose results are unique. (Factors up to signs: tests_py/test_linalg.py.)"""

import re

import numpy as np
import scipy.linalg

import norch

from .row import Error, OpRow, Sample, random_array

DTYPES = ("float32", "float64")
TOLERANCES = {"float32": (2e-4, 2e-4), "float64": (1e-9, 1e-10)}
SQUARE = ((3, 3), (2, 4, 4), (0, 0), (2, 0, 3, 3), (1, 1))
TALL = ((5, 3), (2, 4, 1), (3, 3))
WIDE = ((3, 5), (2, 1, 4))
ANY = TALL + WIDE


def matrix(shape, dtype):
    """Random, and far from singular."""
    m = random_array(shape, dtype, -1, 1)
    return m + np.eye(*shape[-2:], dtype=m.dtype) * (shape[-1] + 1)


def positive(shape, dtype):
    m = random_array(shape, dtype, -1, 1)
    return np.asarray(m @ m.swapaxes(-1, -2) + np.eye(shape[-1], dtype=m.dtype), m.dtype)


def cases(make, shapes, *rest, args=(), **kwargs):
    """One sample for each shape: make(shape), an array of each shape in `rest` (relative to the batch), and `args`."""

    def samples(dtype):
        return [
            Sample([make(s, dtype), *[random_array((*s[:-2], *r(s)), dtype, -2, 2) for r in rest], *args], kwargs)
            for s in shapes
        ]

    return samples


def row(name, ref, make, shapes, *rest, args=(), errors=(), method=None, grad=True, result=None, id="", **kwargs):
    grad_shapes = [s for s in shapes if 0 not in s][:3]
    return OpRow(
        name,
        cases(make, shapes, *rest, args=args, **kwargs),
        ref,
        DTYPES,
        (lambda: cases(make, grad_shapes, *rest, args=args, **kwargs)("float64")) if grad else None,
        result or (lambda dtype: dtype),
        method=method,
        tolerances=TOLERANCES,
        same_bits=False,
        errors=errors,
        id=id,
    )


def error(kind, text, *args, **kwargs):
    return Error(kind, re.escape(text), args, kwargs)


def f(*shape):
    return np.ones(shape, "float32")


def general(shape, dtype):
    return random_array(shape, dtype, -2, 2)


def batched(function):
    """A SciPy function of one matrix (and further arguments of it) for a batch."""

    def call(*arrays, **kwargs):
        batch = np.broadcast_shapes(*[a.shape[:-2] for a in arrays])
        arrays = [np.broadcast_to(a, (*batch, *a.shape[-2:])) for a in arrays]
        if 0 in batch:
            return np.zeros((*batch, *arrays[-1].shape[-2:]))
        out = [function(*[a[i] for a in arrays], **kwargs) for i in np.ndindex(*batch)]
        return np.array(out).reshape(*batch, *np.shape(out[0]))

    return call


def solve_ref(a, b, left=True):
    if a.size == 0:
        return np.zeros(b.shape)
    return np.linalg.solve(a, b) if left else np.linalg.solve(a.swapaxes(-1, -2), b.swapaxes(-1, -2)).swapaxes(-1, -2)


def triangular_ref(a, b, upper, left=True, unitriangular=False):
    t = np.triu(a) if upper else np.tril(a)
    if unitriangular:
        t = t - t * np.eye(t.shape[-1]) + np.eye(t.shape[-1])
    return solve_ref(t, b, left)


def slogdet_ref(a):
    sign, log = np.linalg.slogdet(a)
    return sign, log


def lower(shape, dtype):
    return np.tril(matrix(shape, dtype))


def reflectors_ref(a, tau):
    batch, m = a.shape[:-2], a.shape[-2]
    out = np.broadcast_to(np.eye(m), (*batch, m, m)).copy()
    for i in np.ndindex(*batch):
        for j in range(tau.shape[-1]):
            v = np.concatenate([np.zeros(j), [1], a[i][j + 1 :, j]])
            out[i] = out[i] @ (np.eye(m) - tau[i][j] * np.outer(v, v))
    return out


def norm_ref(a, ord=None, dim=None, keepdim=False):
    return np.linalg.norm(a, ord, dim, keepdim)


def vector(s):
    return (s[-1],)


def columns(n):
    return lambda s: (s[-2], n)


SINGULAR = np.array([[1, 2], [2, 4]], "float32")
NOT_SQUARE = error(RuntimeError, "A must be batches of square matrices, but they are 2 by 3 matrices", f(2, 3))
SHORT = error(RuntimeError, "The input tensor A must have at least 2 dimensions.", f(3))
LINALG = norch.linalg.LinAlgError

ROWS = [
    row("linalg.det", np.linalg.det, matrix, SQUARE, errors=[NOT_SQUARE, SHORT]),
    row("linalg.slogdet", slogdet_ref, matrix, SQUARE, errors=[NOT_SQUARE]),
    row("logdet", lambda a: np.linalg.slogdet(a)[1], positive, SQUARE, method="logdet"),
    row("linalg.inv", lambda a: np.linalg.inv(a) if a.size else np.zeros(a.shape), matrix, SQUARE, errors=[
        NOT_SQUARE,
        error(LINALG, "linalg.inv: The diagonal element 2 is zero, the inversion could not be completed because the "
              "input matrix is singular.", SINGULAR),
        error(LINALG, "(Batch element 1): The diagonal element 1 is zero", np.stack([np.eye(2), np.zeros((2, 2))])),
        error(RuntimeError, "Low precision dtypes not supported. Got Half", np.eye(2, dtype="float16")),
        error(RuntimeError, "Expected a floating point or complex tensor as input. Got Long", np.eye(2, dtype="int64")),
    ]),
    row("linalg.solve", solve_ref, matrix, SQUARE, columns(2), errors=[
        error(LINALG, "linalg.solve: The solver failed because the input matrix is singular.", SINGULAR, f(2)),
        error(RuntimeError, "Incompatible shapes of A and B for the equation AX = B (2x2 and 3x1)", f(2, 2), f(3, 1)),
    ]),
    row("linalg.solve", solve_ref, matrix, ((3, 3),), columns(3), left=False, id="linalg.solve right"),
    row("linalg.solve", lambda a, b: np.linalg.solve(a, b[..., None])[..., 0], matrix, ((3, 3), (2, 4, 4)), vector,
        id="linalg.solve vectors"),
    row("linalg.solve_triangular", triangular_ref, matrix, SQUARE, columns(2), upper=True),
    row("linalg.solve_triangular", triangular_ref, matrix, ((3, 3), (2, 2, 2)), lambda s: (3, s[-1]), upper=False,
        left=False, unitriangular=True, id="linalg.solve_triangular right"),
    row("triangular_solve", lambda b, a: (batched(scipy.linalg.solve_triangular)(a, b), a), general, ((3, 2), (2, 3, 1)),
        lambda s: (s[-2], s[-2]), method="triangular_solve"),
    row("cholesky_inverse", lambda a: np.linalg.inv(np.tril(a) @ np.tril(a).swapaxes(-1, -2)), lower, ((3, 3), (2, 2, 2)),
        method="cholesky_inverse"),
    row("linalg.householder_product", lambda a, tau: reflectors_ref(a, tau)[..., : a.shape[-1]], general, TALL, vector,
        errors=[error(RuntimeError, "input.shape[-2] must be greater than or equal to input.shape[-1]", f(2, 3), f(2))]),
    row("linalg.svdvals", lambda a: np.linalg.svd(a, compute_uv=False), general, ANY, errors=[SHORT]),
    row("linalg.pinv", np.linalg.pinv, general, ANY, errors=[SHORT]),
    row("linalg.matrix_rank", lambda a: np.asarray(np.linalg.matrix_rank(a)), general, ANY, grad=False,
        result=lambda dtype: "int64"),
    # The default driver is the device's; this one gives both devices the same results.
    row("linalg.lstsq", lambda a, b, driver: (
        np.linalg.pinv(a) @ b, np.zeros(0), np.asarray(np.linalg.matrix_rank(a)), np.zeros(0)), general,
        TALL + WIDE, columns(2), driver="gelsy", errors=[
        error(RuntimeError, "parameter `driver` should be one of (gels, gelsy, gelsd, gelss), got x", f(2, 2), f(2, 1),
              driver="x"),
        error(RuntimeError, "input.size(-2) should match other.size(-2)", f(2, 2), f(3, 1))]),
    row("linalg.tensorinv", np.linalg.tensorinv, lambda s, d: matrix((6, 6), d).reshape(2, 3, 6), ((1, 1),), args=(2,)),
    row("linalg.tensorsolve", np.linalg.tensorsolve, lambda s, d: matrix((6, 6), d).reshape(2, 3, 6), ((1, 1),),
        lambda s: (2, 3)),
    row("linalg.matrix_power", np.linalg.matrix_power, matrix, ((3, 3), (2, 4, 4)), args=(5,)),
    row("linalg.matrix_power", np.linalg.matrix_power, matrix, ((3, 3),), args=(-3,), id="linalg.matrix_power negative"),
    row("linalg.matrix_exp", batched(scipy.linalg.expm), general, ((3, 3), (2, 4, 4), (1, 1))),
    row("linalg.vecdot", lambda x, y: np.sum(x * y, -1), general, ANY, lambda s: s[-2:]),
    row("linalg.vander", lambda x: np.vander(x.ravel(), increasing=True).reshape(*x.shape, x.shape[-1]),
        lambda s, d: general((3,), d), ((1, 1),)),
    row("vander", np.vander, lambda s, d: general((4,), d), ((1, 1),)),
    row("linalg.diagonal", lambda a: np.diagonal(a, axis1=-2, axis2=-1), general, ANY),
    row("linalg.cond", lambda a: np.linalg.cond(a), matrix, TALL),
    row("linalg.cond", np.linalg.cond, matrix, ((3, 3), (2, 4, 4)), args=(1,), id="linalg.cond 1"),
    row("linalg.cond", np.linalg.cond, matrix, ((3, 3),), args=("nuc",), id="linalg.cond nuc"),
    row("linalg.norm", norm_ref, general, ANY[:1] + WIDE[:1]),
]
for order in ("fro", "nuc", 1, -1, 2, -2, np.inf, -np.inf):
    ROWS.append(row("linalg.matrix_norm", lambda a, p: np.linalg.norm(a, p, (-2, -1)), general, ((3, 4), (2, 4, 3)),
                    args=(order,), id=f"linalg.matrix_norm {order}"))
ROWS.append(row("linalg.matrix_norm", lambda a, p, dim, keepdim: np.linalg.norm(a, p, dim, keepdim), general, ((3, 2, 4),),
                args=(2, (0, 2), True), id="linalg.matrix_norm dims", errors=[
    error(RuntimeError, "linalg.matrix_norm: Order 3 not supported.", f(2, 2), 3),
    error(RuntimeError, "linalg.matrix_norm: dim must be a 2-tuple. Got [0]", f(2, 2), "fro", (0,))]))
