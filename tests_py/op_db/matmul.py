"""Products of matrices."""

import re

import numpy as np

from .row import FLOATS, NUMBERS, Error, OpRow, Sample, random_array

# Sums of a few products: the error grows with their number.
TOLERANCES = {"float16": (4e-3, 8e-3), "bfloat16": (2e-2, 6e-2), "float32": (1e-5, 1e-5)}


def samples(*shapes, low=-3, high=3, **kwargs):
    def make(dtype):
        start = low if dtype != "uint8" else 0
        return [Sample([random_array(s, dtype, start, high) for s in each], kwargs) for each in shapes]

    return make


def grads(*shapes, **kwargs):
    return lambda: [Sample([np.asarray(np.random.uniform(-2, 2, s)) for s in each], kwargs) for each in shapes]


def row(name, ref, shapes, grad_shapes, dtypes=FLOATS, errors=(), kwargs=None, **more):
    kwargs = kwargs or {}
    return OpRow(name, samples(*shapes, **kwargs), ref, dtypes, grads(*grad_shapes, **kwargs), tolerances=TOLERANCES,
                 errors=errors, **more)


def error(kind, text, args, kwargs=None):
    return Error(kind, re.escape(text), args, kwargs or {})


def f(*shape):
    return np.ones(shape, "float32")


def d(*shape):
    return np.ones(shape)


def added(ref):
    def sum_of(x, a, b, beta=1, alpha=1):
        return (beta * x if beta else 0) + alpha * ref(a, b)

    return sum_of


def linear_ref(x, w, b=None):
    out = x @ w.T
    return out if b is None else out + b


def bilinear_ref(x, y, w, b=None):
    out = np.einsum("...i,oij,...j->...o", x, w, y)
    return out if b is None else out + b


MATMUL_SHAPES = (
    ((3,), (3,)), ((2, 3), (3,)), ((3,), (3, 4)), ((2, 3), (3, 4)), ((5, 2, 3), (3,)), ((3,), (5, 3, 2)),
    ((5, 2, 3), (3, 4)), ((2, 3), (5, 3, 4)), ((6, 1, 2, 3), (5, 3, 4)), ((0, 3), (3, 4)), ((2, 0), (0, 3)),
    ((0, 2, 3), (0, 3, 4)), ((1, 1), (1, 10)), ((1, 10), (10, 1)),
)

ROWS = [
    row("matmul", np.matmul, MATMUL_SHAPES, MATMUL_SHAPES[:9], NUMBERS, errors=[
        error(RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", [f(2, 3), f(4, 5)]),
        error(RuntimeError, "expected m1 and m2 to have the same dtype, but got: float != double", [f(2, 3), d(3, 5)]),
        error(RuntimeError, "both arguments to matmul need to be at least 1D, but they are 0D and 1D", [f(), f(2)]),
    ]),
    row("mm", np.matmul, (((2, 3), (3, 4)), ((0, 3), (3, 4))), (((2, 3), (3, 4)),), NUMBERS, errors=[
        error(RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 4x5)", [f(2, 3), f(4, 5)]),
        error(RuntimeError, "must be a matrix", [f(2, 3), f(3)]),
    ]),
    row("bmm", np.matmul, (((2, 3, 4), (2, 4, 5)),), (((2, 3, 4), (2, 4, 5)),), errors=[
        error(RuntimeError, "Expected size for first two dimensions of batch2 tensor to be: [2, 4] but got: [3, 4].",
              [f(2, 3, 4), f(3, 4, 2)]),
    ]),
    row("mv", np.matmul, (((2, 3), (3,)),), (((2, 3), (3,)),), errors=[
        error(RuntimeError, "size mismatch, got input (2), mat (2x3), vec (2)", [f(2, 3), f(2)]),
    ]),
    row("dot", np.dot, (((5,), (5,)), ((0,), (0,))), (((5,), (5,)),), NUMBERS, errors=[
        error(RuntimeError, "1D tensors expected, but got 2D and 1D tensors", [f(2, 2), f(3)]),
    ]),
    row("vdot", np.vdot, (((5,), (5,)),), (((5,), (5,)),)),
    row("outer", np.outer, (((2,), (3,)), ((0,), (3,))), (((2,), (3,)),), errors=[
        error(RuntimeError, "Expected 1-D argument self, but got 2-D", [f(2, 2), f(3)]),
    ]),
    row("addmm", added(np.matmul), (((2, 4), (2, 3), (3, 4)), ((4,), (2, 3), (3, 4)), ((), (2, 3), (3, 4))),
        (((4,), (2, 3), (3, 4)), ((2, 4), (2, 3), (3, 4))), kwargs={"beta": 0.5, "alpha": 2}, in_place="addmm_"),
    row("addmm", added(np.matmul), (((2, 4), (2, 3), (3, 4)), ((4,), (2, 3), (3, 4))), (((4,), (2, 3), (3, 4)),),
        id="addmm_plain"),
    row("addmv", added(np.matmul), (((2,), (2, 3), (3,)), ((), (2, 3), (3,))), (((2,), (2, 3), (3,)),) * 2,
        kwargs={"alpha": 2}, in_place="addmv_"),
    row("addr", added(np.outer), (((2, 3), (2,), (3,)), ((3,), (2,), (3,))), (((2, 3), (2,), (3,)),) * 2,
        kwargs={"beta": 2}, in_place="addr_"),
    row("baddbmm", added(np.matmul), (((2, 3, 5), (2, 3, 4), (2, 4, 5)), ((5,), (2, 3, 4), (2, 4, 5))),
        (((5,), (2, 3, 4), (2, 4, 5)), ((2, 3, 5), (2, 3, 4), (2, 4, 5))), kwargs={"alpha": 2},
        in_place="baddbmm_"),
    row("addbmm", added(lambda a, b: np.matmul(a, b).sum(0)), (((3, 5), (2, 3, 4), (2, 4, 5)),),
        (((3, 5), (2, 3, 4), (2, 4, 5)),) * 2, kwargs={"beta": 2}, in_place="addbmm_"),
    row("nn.functional.linear", linear_ref,
        (((3, 4), (5, 4), (5,)), ((2, 3, 4), (5, 4), (5,)), ((4,), (5, 4), (5,)), ((3, 4), (5, 4)), ((0, 4), (5, 4), (5,)),
         ((3, 4), (4,))),
        (((2, 3, 4), (5, 4), (5,)), ((3, 4), (5, 4))), method=None, errors=[
            error(RuntimeError, "mat1 and mat2 shapes cannot be multiplied (2x3 and 5x4)", [f(2, 3), f(4, 5)]),
        ]),
    row("nn.functional.bilinear", bilinear_ref, (((3, 2), (3, 4), (5, 2, 4), (5,)), ((2,), (4,), (5, 2, 4))),
        (((3, 2), (3, 4), (5, 2, 4), (5,)),), method=None, errors=[
            error(RuntimeError, "bilinear(): input2 size does not match weight size: got 4 but expected 3",
                  [f(2, 3), f(2, 4), f(5, 3, 3)]),
        ]),
]
