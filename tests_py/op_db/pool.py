"""Pooling."""

import math
import re

import numpy as np

from .row import FLOATS, INTS, Error, OpRow, Sample, random_array

TOLERANCES = {"float16": (2e-3, 1e-3), "bfloat16": (1.6e-2, 1e-2)}


def windows(n, kernel, stride, padding, dilation, ceil_mode):
    """The taps inside the input, and the size with padding, of each window along one dim."""
    room = n + 2 * padding - dilation * (kernel - 1) - 1
    out = (math.ceil if ceil_mode else math.floor)(room / stride) + 1
    if ceil_mode and (out - 1) * stride >= n + padding:
        out -= 1
    for o in range(out):
        start = o * stride - padding
        taps = range(start, start + dilation * (kernel - 1) + 1, dilation)
        yield [t for t in taps if 0 <= t < n], sum(t < n + padding for t in taps)


def adaptive_windows(n, out):
    for o in range(out):
        taps = range(o * n // out, -(-(o + 1) * n // out))
        yield list(taps), len(taps)


def pooled(x, rows, cols, f):
    rows, cols = list(rows), list(cols)
    y = np.zeros((*x.shape[:-2], len(rows), len(cols)), x.dtype)
    for i, (r, h) in enumerate(rows):
        for j, (c, w) in enumerate(cols):
            y[..., i, j] = f(x[..., r, :][..., c], h * w)
    return y


def pair(v):
    return (v, v) if isinstance(v, int) else v


def of_two_dims(f):
    def ref(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **kwargs):
        k, p, d = pair(kernel_size), pair(padding), pair(dilation)
        s = pair(stride) if stride else k
        along = [windows(x.shape[i - 2], k[i], s[i], p[i], d[i], ceil_mode) for i in (0, 1)]
        return pooled(x, *along, lambda part, full: f(part, full, **kwargs))

    return ref


def of_one_dim(ref):
    def one(x, kernel_size, stride=None, padding=0, **kwargs):
        return ref(x[..., None, :], (1, kernel_size), (1, stride or kernel_size), (0, padding), **kwargs)[..., 0, :]

    return one


def largest(part, full):
    return part.max((-2, -1))


def average(part, full, count_include_pad=True, divisor_override=None):
    return part.sum((-2, -1)) / (divisor_override or (full if count_include_pad else part.shape[-2] * part.shape[-1]))


def adaptive(f):
    def ref(x, output_size):
        sizes = [n if o is None else o for n, o in zip(x.shape[-2:], pair(output_size))]
        return pooled(x, *(adaptive_windows(n, o) for n, o in zip(x.shape[-2:], sizes)), f)

    return ref


def adaptive_one(ref):
    return lambda x, n: ref(x[..., None, :], (1, n))[..., 0, :]


def cases(*each):
    def samples(dtype):
        return [Sample([random_array(s, dtype, 0 if dtype == "uint8" else -4, 4), *more], kwargs) for s, more, kwargs in each]

    return samples


def grads(*each):
    # Distinct values: the largest of each window is the same one after a small step.
    return lambda: [Sample([np.random.permutation(int(np.prod(s))).reshape(s) / 3.0, *more], kwargs)
                    for s, more, kwargs in each]


TWO = (((2, 3, 6, 8), [2], {}), ((2, 7, 9), [(3, 2)], {"stride": (2, 3), "padding": (1, 0), "ceil_mode": True}),
       ((1, 1, 5, 5), [2, 2, 1], {"ceil_mode": True}), ((0, 2, 4, 4), [2], {}))
DILATED = (((1, 2, 9, 11), [3], {"stride": 2, "padding": 1, "dilation": 2}),)
COUNTED = (((1, 2, 6, 6), [3], {"padding": 1, "count_include_pad": False}),)
DIVIDED = (((1, 2, 6, 6), [3], {"padding": 1, "divisor_override": 5}),)
ONE = (((2, 3, 9), [2], {}), ((3, 9), [3, 2, 1], {}), ((3, 8), [3, 2], {"ceil_mode": True}))
ADAPTIVE = (((2, 3, 7, 9), [(3, 4)], {}), ((3, 6, 6), [1], {}), ((1, 2, 3, 4), [(None, 7)], {}))
ADAPTIVE_ONE = (((2, 3, 7), [3], {}), ((3, 2), [5], {}))


def row(name, ref, each, dtypes=FLOATS, errors=()):
    return OpRow(f"nn.functional.{name}", cases(*each), ref, dtypes, grads(*[e for e in each if 0 not in e[0]]), method=None,
                 tolerances=TOLERANCES, errors=errors)


def error(kind, text, args, kwargs=None):
    return Error(kind, re.escape(text), args, kwargs or {})


def f(*shape):
    return np.ones(shape, "float32")


ROWS = [
    row("max_pool1d", of_one_dim(of_two_dims(largest)), ONE),
    row("max_pool2d", of_two_dims(largest), TWO + DILATED, INTS + FLOATS, errors=[
        error(RuntimeError, "pad should be at most half of effective kernel size, but got pad=2, kernel_size=2 and "
              "dilation=1", [f(1, 1, 4, 4), 2], {"padding": 2}),
        error(RuntimeError, "Output size is too small", [f(1, 1, 4, 4), 5]),
        error(RuntimeError, "Expected 3D or 4D (batch mode) tensor", [f(4, 4), 2]),
    ]),
    row("avg_pool1d", of_one_dim(of_two_dims(average)), ONE),
    row("avg_pool2d", of_two_dims(average), TWO + COUNTED + DIVIDED, errors=[
        error(RuntimeError, "divisor must be not zero", [f(1, 1, 4, 4), 2], {"divisor_override": 0}),
    ]),
    row("adaptive_avg_pool1d", adaptive_one(adaptive(lambda part, n: part.mean((-2, -1)))), ADAPTIVE_ONE),
    row("adaptive_avg_pool2d", adaptive(lambda part, n: part.mean((-2, -1))), ADAPTIVE),
    row("adaptive_max_pool1d", adaptive_one(adaptive(largest)), ADAPTIVE_ONE),
    row("adaptive_max_pool2d", adaptive(largest), ADAPTIVE),
]
