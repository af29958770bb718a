"""Contractions over several dims."""

import functools
import re

import numpy as np

from .matmul import TOLERANCES
from .row import FLOATS, NUMBERS, Error, OpRow, Sample, numpy_dtype, random_array

EQUATIONS = (
    ("ij,jk", (2, 3), (3, 4)), ("ij,jk->ki", (2, 3), (3, 4)), ("ij->ji", (2, 3)), ("ii->i", (3, 3)), ("ii", (3, 3)),
    ("i,j->ij", (2,), (3,)), ("bij,bjk->bik", (2, 3, 4), (2, 4, 5)), ("...ij,...jk->...ik", (2, 1, 3, 4), (5, 4, 2)),
    ("ij,kj,lk->il", (2, 3), (4, 3), (5, 4)), ("ij->", (2, 3)), ("b...->...b", (2, 3, 4)), ("iij,jk->ik", (2, 2, 3), (3, 4)),
    ("bhqd,bhkd->bhqk", (2, 2, 3, 4), (2, 2, 5, 4)), ("ij,ij->", (2, 3), (2, 3)), ("i,i", (0,), (0,)), ("ij,j->i", (2, 3), (1,)),
)

CHAIN = ((2, 3), (3, 4), (4, 5), (5, 2))


def einsum_samples(dtype):
    low = 0 if dtype == "uint8" else -3
    return [Sample([e, *(random_array(s, dtype, low, 3) for s in shapes)]) for e, *shapes in EQUATIONS]


def einsum_grads():
    return [Sample([e, *(np.random.uniform(-2, 2, s) for s in shapes)]) for e, *shapes in EQUATIONS if (0,) not in shapes]


def einsum_ref(equation, *operands):
    # NumPy does not broadcast a letter of size 1 against a larger one.
    if equation == "ij,j->i":
        operands = (operands[0], np.broadcast_to(operands[1], operands[0].shape[1:]))
    return np.einsum(equation, *operands)


def error(text, *args, **kwargs):
    return Error(RuntimeError, re.escape(text), args, kwargs)


def f(*shape):
    return np.ones(shape, "float32")


def row(name, ref, shapes, dtypes=FLOATS, errors=(), method="same", more=(), result=lambda t: t, kwargs=None):
    def samples(dtype):
        return [Sample([random_array(s, dtype, 0 if dtype == "uint8" else -3, 3) for s in each] + list(more), kwargs or {})
                for each in shapes]

    def grads():
        return [Sample([np.random.uniform(-2, 2, s) for s in each] + list(more), kwargs or {}) for each in shapes]

    return OpRow(name, samples, ref, dtypes, grads, tolerances=TOLERANCES, errors=errors, method=method, result=result)


def chain_samples(dtype):
    """Products that every dtype holds exactly, so that the order of the products, and their rounding, do not matter;
    and, where rounding is small, any numbers."""
    exact = [np.random.randint(-1, 2, s).astype(numpy_dtype(dtype)) for s in CHAIN]
    return [Sample(exact)] + [Sample([random_array(s, dtype, -3, 3) for s in CHAIN])] * (dtype in ("float32", "float64"))


def chain_grads():
    return [Sample([np.random.uniform(-2, 2, s) for s in CHAIN])]


def chain_ref(*matrices):
    return functools.reduce(np.matmul, matrices)


ROWS = [
    OpRow("einsum", einsum_samples, einsum_ref, FLOATS, einsum_grads, method=None, tolerances=TOLERANCES, errors=[
        error("einsum(): subscript j has size 4 for operand 1 which does not broadcast with previously seen size 3",
              "ij,jk", f(2, 3), f(4, 5)),
        error("einsum(): output subscript z does not appear in the equation for any input operand", "ij->z", f(2, 3)),
        error("einsum(): the number of subscripts in the equation (2) does not match the number of dimensions (3) for "
              "operand 0 and no ellipsis was given", "ij", f(2, 3, 4)),
        error("einsum(): fewer operands were provided than specified in the equation", "ij,jk", f(2, 3)),
        error("einsum(): more operands were provided than specified in the equation", "ij", f(2, 3), f(2)),
        error("einsum(): invalid subscript given at index 1", "i1", f(2, 3)),
        error("einsum(): subscript i is repeated for operand 0 but the sizes don't match, 3 != 2", "ii->i", f(2, 3)),
        error("einsum(): output subscript i appears more than once in the output", "ij->ii", f(2, 3)),
    ]),
    row("tensordot", np.tensordot, (((2, 3, 4), (3, 4, 5)),), method=None, errors=[
        error("contracted dimensions need to match, but first has size 3 in dim -1 and second has size 4 in dim 0",
              f(2, 3), f(4, 5), 1),
        error("both dimension lists should have same length", f(2, 3), f(3, 5), ([1], [0, 1])),
    ]),
    row("tensordot", np.tensordot, (((2, 3, 4), (4, 5, 2)),), method=None, more=[([0, 2], [2, 0])]),
    row("inner", np.inner, (((3,), (3,)), ((2, 3), (4, 3)), ((), (2, 3))), errors=[
        error("inner() the last dimension must match on both input tensors but got shapes [2, 3] and [4, 5]",
              f(2, 3), f(4, 5)),
    ]),
    row("kron", np.kron, (((2, 3), (3, 2)), ((2,), (2, 3)), ((3,), (2,))), NUMBERS),
    row("trace", np.trace, (((3, 3),), ((2, 4),)), NUMBERS, result=lambda t: t if t in FLOATS else "int64", errors=[
        error("trace: expected a matrix, but got tensor with dim 1", f(3)),
    ]),
    row("cross", np.cross, (((2, 3), (2, 3)), ((3,), (3,))), kwargs={"dim": -1}, errors=[
        error("no dimension of size 3 in input", f(2, 4), f(2, 4)),
    ]),
    row("linalg.cross", np.cross, (((2, 1, 3), (1, 4, 3)),), method=None, errors=[
        error("linalg.cross: inputs dimension -1 must have length 3. Got 4 and 4", f(2, 4), f(2, 4)),
    ]),
    OpRow("chain_matmul", chain_samples, chain_ref, FLOATS, chain_grads, method=None, tolerances=TOLERANCES),
]
ROWS[2].id = "tensordot_lists"
# NumPy's cross takes `axis`.
ROWS[6].ref = lambda a, b, dim: np.cross(a, b, axis=dim)
