"""Sorting, order statistics, counting."""

import numpy as np

from .reduce import ONE_DIM, X, grads, samples
from .row import ALL, FLOATS, INTS, NUMBERS, Error, OpRow, Sample, random_array

EXACT = {d: (0, 0) for d in FLOATS}
DIM = Error(IndexError, "Dimension out of range", [X], {"dim": 2})
LONG = (((3000,), 0), ((3, 2000), 1), ((2000, 2), 0))
CASES = ONE_DIM + LONG
NOT_EMPTY = tuple((s, d) for s, d in ONE_DIM if 0 not in s)
NO_BOOL = NUMBERS


def order(x, dim, descending=False):
    """Stable, NaN largest."""
    if x.dtype == bool:
        x = x.astype(np.uint8)
    rows = np.moveaxis(x, dim, -1)
    if descending:
        n = rows.shape[-1]
        return np.moveaxis(n - 1 - np.argsort(rows[..., ::-1], axis=-1, kind="stable")[..., ::-1], -1, dim)
    return np.moveaxis(np.argsort(rows, axis=-1, kind="stable"), -1, dim)


def sort_ref(x, dim=-1, descending=False):
    index = order(x, dim, descending)
    return np.take_along_axis(x, index, dim), index


def topk_ref(x, k, dim=-1, largest=True):
    values, index = sort_ref(x, dim, largest)
    first = [slice(None)] * x.ndim
    first[dim] = slice(0, k)
    return values[tuple(first)], index[tuple(first)]


def nth(k):
    def call(x, dim, keepdim=False, **_):
        values, index = sort_ref(x, dim)
        at = [k(x.shape[dim])]
        return [np.take(a, at, dim) if keepdim else np.take(a, at[0], dim) for a in (values, index)]

    return call


def kth_ref(x, k, dim, keepdim=False):
    return nth(lambda n: k - 1)(x, dim, keepdim)


def mode_ref(x, dim, keepdim=False):
    def of_row(row):
        values, counts = np.unique(row, return_counts=True)
        return values[np.argmax(counts)]

    values = np.apply_along_axis(of_row, dim, x).astype(x.dtype)
    last = np.apply_along_axis(lambda row: len(row) - 1 - np.argmax((row == of_row(row))[::-1]), dim, x)
    return [np.expand_dims(a, dim) if keepdim else a for a in (values, last)]


def unique_ref(x, **_):
    values, inverse, counts = np.unique(x, return_inverse=True, return_counts=True)
    return values, inverse.reshape(x.shape), counts


def flat(dtype):
    return [Sample([random_array(s, dtype, 0, 4)], {"return_inverse": True, "return_counts": True}) for s in ((0,), (7,), (5, 60))]


def counts(dtype):
    return [Sample([random_array((n,), dtype, 0, 9)], {"minlength": m}) for n, m in ((0, 0), (0, 3), (50, 0), (50, 20))]


ROWS = [
    OpRow("sort", samples(CASES, keepdim=False), sort_ref, ALL, grads(ONE_DIM, keepdim=False), tolerances=EXACT, errors=[DIM]),
    OpRow("sort", samples(CASES, keepdim=False, descending=True), sort_ref, ALL, list, tolerances=EXACT, id="sort-descending"),
    OpRow("argsort", samples(CASES, keepdim=False), order, ALL, None, lambda d: "int64"),
    OpRow("msort", lambda d: [Sample([random_array((5, 3), d)])], lambda x: np.sort(x, axis=0), ALL, list, tolerances=EXACT),
    OpRow("topk", samples(CASES, keepdim=False, k=1), topk_ref, ALL, list, tolerances=EXACT,
          errors=[Error(RuntimeError, "out of range", [X], {"k": 4}), Error(RuntimeError, "out of range", [X], {"k": -1})]),
    OpRow("topk", samples(LONG, keepdim=False, k=700, largest=False), topk_ref, NO_BOOL, list, tolerances=EXACT, id="topk-many"),
    OpRow("topk", samples(LONG, keepdim=False, k=5), topk_ref, NO_BOOL, grads((((4, 6), 1), ((6, 4), 0)), keepdim=False, k=3),
          tolerances=EXACT, id="topk-few"),
    OpRow("kthvalue", samples(LONG, k=40), kth_ref, NO_BOOL, grads((((4, 6), 1), ((6, 4), 0)), k=3), tolerances=EXACT,
          errors=[Error(RuntimeError, "out of range", [X], {"k": 4}),
                  Error(IndexError, "non-zero size", [np.zeros((2, 0))], {"k": 1})]),
    OpRow("median", samples(CASES), nth(lambda n: (n - 1) // 2), NO_BOOL, grads(ONE_DIM), tolerances=EXACT),
    OpRow("nanmedian", samples(CASES), nth(lambda n: (n - 1) // 2), NO_BOOL, grads(ONE_DIM), tolerances=EXACT),
    OpRow("mode", samples(NOT_EMPTY, low=0), mode_ref, INTS, tolerances=EXACT),
    OpRow("quantile", samples(NOT_EMPTY, q=0.3), lambda x, q, dim, keepdim: np.quantile(x, q, axis=dim, keepdims=keepdim),
          ("float32", "float64"), grads(NOT_EMPTY, q=0.3), tolerances={"float32": (1e-5, 1e-5), "float64": (1e-12, 1e-12)}),
    OpRow("unique", flat, unique_ref, ALL, tolerances=EXACT),
    OpRow("bincount", counts, lambda x, minlength: np.bincount(x.astype(np.int64), minlength=minlength), INTS, None,
          lambda d: "int64", errors=[Error(RuntimeError, "non-negative", [np.array([-1])])]),
]
