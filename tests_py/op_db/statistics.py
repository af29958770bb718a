"""Differences, covariance, histograms, sets."""

import numpy as np

from .row import INTS, NUMBERS, Error, OpRow, Sample, random_array

REALS = ("float32", "float64")
ROUNDED = {"float32": (2e-5, 2e-6), "float64": (1e-11, 1e-12)}


def cases(*cases, low=-4, high=4):
    """Samples of (shape, args, kwargs)."""

    def samples(dtype):
        bottom = max(low, 0) if dtype == "uint8" else low
        return [Sample([random_array(shape, dtype, bottom, high), *args], kwargs) for shape, args, kwargs in cases]

    return samples


def grads(*cases):
    def samples():
        return [Sample([np.asarray(np.random.uniform(-2, 2, shape)), *args], kwargs) for shape, args, kwargs in cases]

    return samples


def diff_ref(x, n=1, dim=-1, prepend=None, append=None):
    joined = np.concatenate([a for a in (prepend, x, append) if a is not None], dim)
    return np.diff(joined, n, dim)


def diff_samples(dtype):
    ends = [random_array((2, n), dtype, 0, 4) for n in (1, 2)]
    return [
        *cases(((5,), (), {}), ((2, 4), (2, 0), {}), ((2, 4), (3,), {}), ((2, 4), (5,), {}))(dtype),
        Sample([random_array((2, 3), dtype, 0, 4), 1, -1, *ends]),
    ]


def gradient_ref(x, spacing=None, dim=None, edge_order=1):
    axes = range(x.ndim) if dim is None else (dim,) if isinstance(dim, int) else dim
    steps = [1.0] * len(axes) if spacing is None else spacing
    out = [np.gradient(x, s, axis=a, edge_order=edge_order) for s, a in zip(steps, axes)]
    return tuple(out)


def two(shape, low=-4, high=4, count=2, **kwargs):
    return lambda dtype: [Sample([random_array(shape, dtype, low, high) for _ in range(count)], kwargs)]


def renorm_ref(x, p, dim, maxnorm):
    others = tuple(d for d in range(x.ndim) if d != dim % x.ndim)
    norm = (np.abs(x) ** p).sum(others, keepdims=True) ** (1 / p)
    return np.where(norm > maxnorm, x * (maxnorm / (norm + 1e-7)), x)


def histogram_ref(x, bins, range=None, weight=None, density=False):
    counts, edges = np.histogram(x, bins, range, density, weight)
    return [counts, edges]


def quantile_ref(x, q, dim, keepdim=False):
    return np.nanquantile(x, q, axis=dim, keepdims=keepdim)


def isin_samples(dtype):
    x = random_array((3, 7), dtype, 0, 9)
    tests = random_array((5,), dtype, 0, 9)
    tests[0] = x[0, 0]
    return [Sample([x, tests]), Sample([x, tests], {"invert": True}), Sample([x, tests[:0]])]


def nonzero_static_ref(x, size, fill_value=-1):
    found = np.argwhere(x)[:size]
    return np.concatenate([found, np.full((size - len(found), x.ndim), fill_value)])


def unique_ref(x, dim, return_inverse, return_counts):
    values, inverse, counts = np.unique(x, axis=dim, return_inverse=True, return_counts=True)
    return [values, inverse.reshape(-1), counts]


def index_reduce_ref(x, dim, index, source, reduce, include_self=True):
    out = np.moveaxis(np.array(x, copy=True), dim, 0)
    src = np.moveaxis(source, dim, 0)
    for i in range(len(out)):
        parts = ([out[i]] if include_self else []) + [src[j] for j in np.flatnonzero(index == i)]
        if len(parts) > (1 if include_self else 0):
            f = {"prod": np.prod, "mean": np.mean, "amax": np.max, "amin": np.min}[reduce]
            out[i] = f(np.stack(parts), axis=0)
    return np.moveaxis(out, 0, dim)


def index_reduce_samples(dtype):
    out = []
    for reduce in ("prod", "mean", "amax", "amin"):
        for include_self in (True, False):
            x, source = random_array((3, 4), dtype, 1, 3), random_array((3, 5), dtype, 1, 3)
            index = np.array([0, 2, 2, 1, 0])
            out.append(Sample([x, 1, index, source, reduce], {"include_self": include_self}))
    return out


X = np.ones((2, 3))
ROWS = [
    OpRow(
        "diff",
        diff_samples,
        diff_ref,
        INTS + REALS,
        grads(((2, 4), (2,), {}), ((5,), (), {})),
        errors=[Error(RuntimeError, "at least one-dimensional", [np.ones(())])],
    ),
    OpRow(
        "gradient",
        cases(((4,), (), {}), ((3, 5), (), {"edge_order": 2}), ((3, 5), (), {"dim": 1}), ((4, 3), (), {"spacing": [2.0, 0.5]})),
        gradient_ref,
        REALS,
        grads(((4,), (), {}), ((3, 3), (), {"edge_order": 2})),
        method=None,
        tolerances=ROUNDED,
        errors=[Error(RuntimeError, "edge_order", [X], {"edge_order": 3})],
    ),
    OpRow(
        "trapezoid",
        lambda dtype: cases(((5,), (), {}), ((2, 4), (), {"dx": 0.5}), ((2, 4), (), {"dim": 0}))(dtype)
        + [Sample([random_array((2, 4), dtype), np.array([0, 1, 3, 4], dtype)])],
        lambda y, x=None, dx=1.0, dim=-1: np.trapezoid(y, x, dx, dim),
        REALS,
        grads(((5,), (), {}), ((2, 4), (), {"dim": 0})),
        method=None,
        tolerances=ROUNDED,
        errors=[Error(RuntimeError, "one `x` value for each sample", [np.ones(3), np.ones(4)])],
    ),
    OpRow(
        "cumulative_trapezoid",
        cases(((5,), (), {}), ((2, 4), (), {"dx": 0.5}), ((2, 4), (), {"dim": 0})),
        lambda y, dx=1.0, dim=-1: np.cumsum((np.take(y, range(1, y.shape[dim]), dim) + np.take(y, range(y.shape[dim] - 1), dim)) / 2 * dx, dim),
        REALS,
        grads(((5,), (), {}), ((2, 4), (), {"dim": 0})),
        method=None,
        tolerances=ROUNDED,
    ),
    OpRow(
        "cov",
        cases(((3, 6), (), {}), ((6,), (), {}), ((3, 6), (), {"correction": 0})),
        lambda x, correction=1: np.cov(x, ddof=correction),
        REALS,
        grads(((3, 6), (), {}),),
        same_bits=False,
        tolerances=ROUNDED,
        errors=[Error(RuntimeError, "two or fewer dimensions", [np.ones((2, 2, 2))])],
    ),
    OpRow(
        "corrcoef",
        cases(((3, 6), (), {})),
        np.corrcoef,
        REALS,
        grads(((3, 6), (), {}),),
        same_bits=False,
        tolerances=ROUNDED,
    ),
    OpRow(
        "dist",
        two((2, 3)),
        lambda x, y: np.linalg.norm((x - y).ravel()),
        REALS,
        lambda: [Sample([np.random.rand(3), np.random.rand(2, 3) + 2])],
        same_bits=False,
        tolerances=ROUNDED,
    ),
    OpRow(
        "renorm",
        cases(((3, 4), (2, 0, 1.5), {}), ((2, 3, 4), (1, -1, 4.0), {})),
        renorm_ref,
        REALS,
        grads(((3, 4), (2, 0, 0.5), {}),),
        in_place="renorm_",
        same_bits=False,
        tolerances=ROUNDED,
        errors=[Error(RuntimeError, "at least 2 dimensions", [np.ones(3), 2, 0, 1.0])],
    ),
    OpRow(
        "histogram",
        cases(((50,), (5,), {}), ((5, 10), (4,), {"range": (-2.0, 2.0)}), ((50,), (5,), {"density": True})),
        histogram_ref,
        REALS,
        tolerances=ROUNDED,
        errors=[Error(RuntimeError, "bins must be > 0", [np.ones(3), 0])],
    ),
    OpRow(
        "nanquantile",
        lambda dtype: [
            Sample([np.where(random_array((4, 6), dtype) > 2, np.nan, random_array((4, 6), dtype)).astype(dtype), q, dim])
            for q, dim in ((0.25, 0), (0.9, 1))
        ],
        quantile_ref,
        REALS,
        lambda: [Sample([np.random.rand(3, 5), 0.3, 1])],
        tolerances=ROUNDED,
    ),
    OpRow("isin", isin_samples, lambda x, t, invert=False: np.isin(x, t, invert=invert), NUMBERS[:4] + REALS, None,
          lambda dtype: "bool", method=None, same_bits=False),
    OpRow(
        "nonzero_static",
        cases(((3, 4), (), {"size": 5}), ((3, 4), (), {"size": 20, "fill_value": 7}), low=0, high=2),
        nonzero_static_ref,
        INTS,
        None,
        lambda dtype: "int64",
        same_bits=False,
    ),
    OpRow(
        "unique",
        lambda dtype: [
            Sample([random_array((6, 3), dtype, 0, 2)], {"dim": d, "return_inverse": True, "return_counts": True})
            for d in (0, 1)
        ],
        unique_ref,
        INTS,
        same_bits=False,
        id="unique along a dim",
    ),
    OpRow(
        "index_reduce",
        index_reduce_samples,
        index_reduce_ref,
        REALS,
        lambda: [
            Sample([np.random.rand(3, 4) + 1, 1, np.array([0, 2, 2]), np.random.rand(3, 3) + 1, reduce])
            for reduce in ("prod", "mean", "amax")
        ],
        in_place="index_reduce_",
        same_bits=False,
        tolerances=ROUNDED,
        errors=[
            Error(RuntimeError, "one of prod, mean, amax or amin", [X, 0, np.array([0, 1]), X, "sum"]),
            Error(RuntimeError, "Number of indices", [X, 0, np.array([0]), X, "prod"]),
            Error(RuntimeError, "must match self of shape", [X, 0, np.array([0, 1]), X[:2, :1], "prod"]),
        ],
    ),
    OpRow("diagflat", cases(((2, 3), (), {}), ((4,), (), {})), np.diagflat, NUMBERS, grads(((2, 2), (), {}),)),
]
