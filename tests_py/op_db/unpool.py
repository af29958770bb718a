"""Pooling of three dims, unpooling and power-average pooling."""

import itertools

import numpy as np

from .pool import TOLERANCES, adaptive_windows, cases, error, f, grads, windows
from .row import FLOATS, INTS, OpRow, Sample, random_array

LP = {"float16": (5e-3, 5e-3), "bfloat16": (3e-2, 3e-2), "float32": (2e-5, 1e-5), "float64": (1e-11, 1e-11)}


def three(v):
    return (v,) * 3 if isinstance(v, int) or v is None else v


def pooled(x, along, f):
    along = [list(w) for w in along]
    y = np.zeros((*x.shape[: -len(along)], *map(len, along)), x.dtype)
    for at in itertools.product(*(range(len(w)) for w in along)):
        taps, sizes = zip(*(w[i] for w, i in zip(along, at)))
        part = x[(..., *np.ix_(*taps))]
        y[(..., *at)] = f(part.reshape(*part.shape[: -len(along)], int(np.prod(part.shape[-len(along) :]))), int(np.prod(sizes)))
    return y


def of_three_dims(f):
    def ref(x, kernel_size, stride=None, padding=0, dilation=1, ceil_mode=False, **kwargs):
        k, p, d = three(kernel_size), three(padding), three(dilation)
        s = three(stride) if stride else k
        along = [windows(x.shape[i - 3], k[i], s[i], p[i], d[i], ceil_mode) for i in range(3)]
        return pooled(x, along, lambda part, full: f(part, full, **kwargs))

    return ref


def largest(part, full):
    return part.max(-1)


def average(part, full, count_include_pad=True, divisor_override=None):
    return part.sum(-1) / (divisor_override or (full if count_include_pad else part.shape[-1]))


def adaptive(f):
    def ref(x, output_size):
        sizes = [n if o is None else o for n, o in zip(x.shape[-3:], three(output_size))]
        return pooled(x, [adaptive_windows(n, o) for n, o in zip(x.shape[-3:], sizes)], f)

    return ref


def lp_pool(dims):
    def ref(x, p, kernel_size, stride=None, ceil_mode=False):
        k = (kernel_size,) * dims
        s = (stride or kernel_size,) * dims
        along = [windows(x.shape[i - dims], k[i], s[i], 0, 1, ceil_mode) for i in range(dims)]
        full = int(np.prod(k))
        # Windows that reach over the edge count as if they were whole.
        return pooled(x, along, lambda part, n: (part**p).sum(-1).clip(0) ** (1 / p) * (full / n) ** (1 / p))

    return ref


def unpool_samples(dtype):
    out = []
    for shape, indices in (((1, 2, 3), [[0, 3, 5], [1, 2, 4]]), ((2, 3), [[5, 1, 2], [0, 4, 3]])):
        out.append(Sample([random_array(shape, dtype), np.array(indices).reshape(shape), 2]))
    return out


def max_unpool1d(x, indices, kernel_size):
    y = np.zeros((*x.shape[:-1], x.shape[-1] * kernel_size), x.dtype)
    np.put_along_axis(y, indices.astype(np.int64), x, -1)
    return y


def max_unpool2d(x, indices, kernel_size, output_size=None):
    h, w = output_size or (x.shape[-2] * kernel_size, x.shape[-1] * kernel_size)
    y = np.zeros((*x.shape[:-2], h * w), x.dtype)
    np.put_along_axis(y, indices.astype(np.int64).reshape(*x.shape[:-2], -1), x.reshape(*x.shape[:-2], -1), -1)
    return y.reshape(*x.shape[:-2], h, w)


def unpool2d_samples(dtype):
    i = np.array([[0, 3], [9, 14]]).reshape(1, 1, 2, 2)
    return [Sample([random_array((1, 1, 2, 2), dtype), i, 2]),
            Sample([random_array((1, 1, 2, 2), dtype), i, 2], {"output_size": (5, 5)})]


THREE = (((2, 2, 4, 5, 6), [2], {}), ((2, 5, 4, 7), [(3, 2, 2)], {"stride": (2, 1, 3), "padding": (1, 0, 1)}),
         ((1, 1, 5, 5, 5), [2, 2, 1], {"ceil_mode": True}), ((0, 2, 4, 4, 4), [2], {}))
DILATED = (((1, 2, 7, 6, 8), [2], {"stride": 2, "padding": 1, "dilation": 2}),)
COUNTED = (((1, 2, 4, 4, 4), [3], {"padding": 1, "count_include_pad": False}),)
DIVIDED = (((1, 1, 4, 4, 4), [3], {"padding": 1, "divisor_override": 5}),)
ADAPTIVE = (((2, 2, 5, 4, 6), [(3, 2, 4)], {}), ((3, 4, 3, 5), [1], {}), ((1, 1, 2, 3, 4), [(None, 5, 2)], {}))


def row(name, ref, each, dtypes=FLOATS, tolerances=TOLERANCES, errors=(), **more):
    return OpRow(f"nn.functional.{name}", cases(*each), ref, dtypes, grads(*[e for e in each if 0 not in e[0]]), method=None,
                 tolerances=tolerances, errors=errors, **more)


def lp(name, dims, shape):
    def samples(dtype):
        return [Sample([random_array(shape, dtype, 1, 3), 2.0, 2]), Sample([random_array(shape, dtype, 1, 3), 3, 2, 1])]

    return OpRow(f"nn.functional.{name}", samples, lp_pool(dims), FLOATS, lambda: samples("float64"), method=None,
                 tolerances=LP, same_bits=False)


def places(name, samples, ref, grad=None, dtypes=FLOATS, errors=()):
    return OpRow(f"nn.functional.{name}", samples, ref, dtypes, grad, method=None, tolerances=TOLERANCES, errors=errors)


ROWS = [
    row("max_pool3d", of_three_dims(largest), THREE + DILATED, INTS + FLOATS, errors=[
        error(RuntimeError, "Expected 4D or 5D (batch mode) tensor", [f(4, 4, 4), 2]),
        error(RuntimeError, "Output size is too small", [f(1, 1, 4, 4, 4), 5]),
    ]),
    row("avg_pool3d", of_three_dims(average), THREE + COUNTED + DIVIDED, errors=[
        error(RuntimeError, "divisor must be not zero", [f(1, 1, 4, 4, 4), 2], {"divisor_override": 0}),
    ]),
    row("adaptive_avg_pool3d", adaptive(lambda part, n: part.mean(-1)), ADAPTIVE),
    row("adaptive_max_pool3d", adaptive(largest), ADAPTIVE),
    lp("lp_pool1d", 1, (2, 3, 6)),
    lp("lp_pool2d", 2, (2, 1, 4, 6)),
    lp("lp_pool3d", 3, (1, 1, 4, 4, 2)),
    places("max_unpool1d", unpool_samples, max_unpool1d, lambda: unpool_samples("float64"), INTS + FLOATS, errors=[
        error(RuntimeError, "elements in indices should be type int64", [f(1, 1, 2), np.zeros((1, 1, 2), "int32"), 2]),
        error(ValueError, "invalid output_size", [f(1, 1, 2), np.zeros((1, 1, 2), "int64"), 2], {"output_size": (9,)}),
    ]),
    places("max_unpool2d", unpool2d_samples, max_unpool2d, lambda: unpool2d_samples("float64"), errors=[
        error(IndexError, "out of bounds", [f(1, 1, 1, 1), np.full((1, 1, 1, 1), 4), 2]),
        error(RuntimeError, "Expected shape of indices to be same as that of the input tensor",
              [f(1, 1, 2, 2), np.zeros((1, 1, 1, 2), "int64"), 2]),
    ]),
    OpRow("nn.functional.local_response_norm", cases(((2, 5, 3), [3], {}), ((1, 4, 2, 2), [2], {"alpha": 0.5, "k": 2.0})),
          lambda x, size, alpha=1e-4, beta=0.75, k=1.0: x / (k + alpha * np.stack([
              (x[:, max(0, c - size // 2): c + (size - 1) // 2 + 1] ** 2).sum(1) / size for c in range(x.shape[1])], 1)) ** beta,
          FLOATS, grads(((1, 4, 2, 2), [3], {"alpha": 0.5})), method=None, tolerances=LP, same_bits=False),
]
