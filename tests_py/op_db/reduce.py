"""Reductions and running reductions."""

import numpy as np

from .row import ALL, FLOATS, NUMBERS, Error, OpRow, Sample, random_array, to_bool

# Shape, and the dims to reduce: None is all, inner and outer, several, negative, sizes 0 and 1, more than a vector.
CASES = (
    ((), None), ((5,), None), ((5,), 0), ((37,), -1), ((2, 3), 0), ((2, 3), 1), ((2, 3), (0, 1)), ((3, 1, 4), 1),
    ((3, 2, 4), (0, 2)), ((3, 2, 4), -2), ((130, 3), 0), ((3, 130), 1), ((70, 33), 0), ((2, 0, 3), 2), ((2, 20, 40), (1, 2)),
)
ONE_DIM = tuple((s, d) for s, d in CASES if isinstance(d, int) and s[d] != 0)
FILLED = tuple((s, d) for s, d in CASES if 0 not in s)


def to_sum(dtype):
    return "int64" if dtype in ALL and dtype not in FLOATS else dtype


def axis(dim):
    return {"axis": dim} if dim is not None else {}


def options_of(case, dim, keepdim, rest):
    """The arguments of a case: every other one keeps its dims, where the op can."""
    options = dict(rest)
    if dim is not None:
        options["dim"] = dim
        if keepdim:
            options["keepdim"] = bool(case % 2)
    return options


def samples(cases=CASES, low=-4, high=4, keepdim=True, nan=False, **kwargs):
    def make(dtype):
        out = []
        for i, (shape, dim) in enumerate(cases):
            x = random_array(shape, dtype, max(low, 0) if dtype == "uint8" else low, high)
            if nan and dtype in FLOATS and x.size > 1:
                x.flat[1] = np.nan
            out.append(Sample([x], options_of(i, dim, keepdim, kwargs)))
        return out

    return make


def grads(cases=FILLED, low=-2.0, high=2.0, keepdim=True, **kwargs):
    def make():
        out = []
        for i, (shape, dim) in enumerate(cases):
            if np.prod(shape) > 40:
                continue
            # Distinct values, so that the largest is one.
            x = np.random.permutation(np.linspace(low, high, int(np.prod(shape)) + 2)[1:-1]).reshape(shape)
            out.append(Sample([x], options_of(i, dim, keepdim, kwargs)))
        return out

    return make


def ref(f):
    def call(x, dim=None, keepdim=False, **kwargs):
        return f(x, **(axis(dim) if dim is not None else {"axis": None}), keepdims=keepdim and dim is not None, **kwargs)

    return call


def picking(values, indices):
    """Reference of an op that gives (values, indices) along a dim."""

    def call(x, dim, keepdim=False):
        if x.ndim == 0:
            return x, np.zeros((), np.int64)
        v, i = values(x, axis=dim), indices(x, axis=dim)
        return [np.expand_dims(a, dim) if keepdim else a for a in (v, i)]

    return call


def norm_ref(x, p=2, dim=None, keepdim=False):
    a = np.abs(x)
    k = {"axis": dim, "keepdims": keepdim and dim is not None}
    if p == 0:
        return np.sum(a != 0, **k).astype(np.float64)
    if np.isinf(p):
        return (np.max if p > 0 else np.min)(a, **k)
    return np.sum(a**p, **k) ** (1 / p)


def logsumexp_ref(x, dim, keepdim=False):
    return np.log(np.sum(np.exp(x), axis=dim, keepdims=keepdim))


def running(f, dtype_of=lambda x: x):
    return lambda x, dim: x if x.ndim == 0 else f(x, axis=dim)


def running_index(better):
    def call(x, dim):
        rows = np.moveaxis(x, dim, -1)
        values, indices = rows.copy(), np.zeros(rows.shape, np.int64)
        for at in np.ndindex(rows.shape[:-1]):
            best = 0
            for i in range(rows.shape[-1]):
                if not better(rows[at][best], rows[at][i]):
                    best = i
                values[at][i], indices[at][i] = rows[at][best], best
        return np.moveaxis(values, -1, dim), np.moveaxis(indices, -1, dim)

    return call


def moments(f):
    def call(x, dim=None, keepdim=False, correction=1):
        return f(x, axis=dim, keepdims=keepdim and dim is not None, ddof=correction)

    return call


X = np.zeros((2, 3))
DIM = Error(IndexError, "Dimension out of range", [X], {"dim": 2})
TWICE = Error(RuntimeError, "appears multiple times", [X], {"dim": (0, 0)})
EMPTY = Error(RuntimeError, "Expected reduction dim to be specified", [np.zeros(0)])
EMPTY_DIM = Error(IndexError, "to have non-zero size", [np.zeros((2, 0))], {"dim": 1})
EXACT = {d: (0, 0) for d in FLOATS}
LOOSE = {"float32": (2e-5, 1e-5), "float64": (1e-11, 1e-12)}

ROWS = [
    OpRow("sum", samples(low=0), ref(np.sum), ALL, grads(), to_sum, errors=[DIM, TWICE], same_bits=False),
    OpRow("nansum", samples(low=0, nan=True), ref(np.nansum), ALL, grads(), to_sum, errors=[DIM, TWICE], same_bits=False),
    OpRow("mean", samples(low=0, cases=FILLED), ref(np.mean), FLOATS, grads(), same_bits=False,
          errors=[DIM, TWICE, Error(RuntimeError, "could not infer output dtype", [np.zeros(3, np.int64)])]),
    OpRow("nanmean", samples(low=0, cases=FILLED), ref(np.nanmean), FLOATS, grads(), errors=[DIM], same_bits=False),
    OpRow("prod", samples(low=0.9, high=1.1), ref(np.prod), FLOATS, grads(low=0.5), errors=[DIM], same_bits=False,
          tolerances=LOOSE),
    OpRow("prod", samples(cases=FILLED[:9]), ref(np.prod), ALL[:6], None, to_sum, id="prod-integers"),
    OpRow("any", samples(low=0, high=2), ref(np.any), [d for d in ALL if d != "uint8"], None, to_bool, errors=[DIM, TWICE]),
    OpRow("all", samples(low=0, high=2), ref(np.all), [d for d in ALL if d != "uint8"], None, to_bool, errors=[DIM, TWICE]),
    OpRow("count_nonzero", samples(low=0, high=2, keepdim=False), lambda x, dim=None: np.count_nonzero(x, axis=dim), ALL,
          None, lambda d: "int64"),
    OpRow("amax", samples(FILLED), ref(np.max), ALL, grads(), tolerances=EXACT, errors=[DIM, TWICE, EMPTY, EMPTY_DIM]),
    OpRow("amin", samples(FILLED), ref(np.min), ALL, grads(), tolerances=EXACT, errors=[DIM, TWICE, EMPTY, EMPTY_DIM]),
    OpRow("amax", samples(FILLED, nan=True), ref(np.max), FLOATS, grad_samples=list, tolerances=EXACT, id="amax-nan"),
    OpRow("max", samples(ONE_DIM), picking(np.max, np.argmax), ALL, grads(ONE_DIM), tolerances=EXACT,
          errors=[DIM, EMPTY, EMPTY_DIM]),
    OpRow("min", samples(ONE_DIM), picking(np.min, np.argmin), ALL, grads(ONE_DIM), tolerances=EXACT,
          errors=[DIM, EMPTY, EMPTY_DIM]),
    OpRow("max", samples(ONE_DIM, nan=True), picking(np.max, np.argmax), FLOATS, grad_samples=list, tolerances=EXACT, id="max-nan"),
    OpRow("argmax", samples(ONE_DIM), ref(np.argmax), ALL, None, lambda d: "int64", errors=[DIM, EMPTY_DIM]),
    OpRow("argmin", samples(ONE_DIM, nan=True), ref(np.argmin), ALL, None, lambda d: "int64", errors=[DIM, EMPTY_DIM]),
    OpRow("var", samples([c for c in FILLED if c[0] not in ((), (3, 1, 4))]), moments(np.var), FLOATS, grads(FILLED[1:7]),
          errors=[DIM, TWICE, Error(RuntimeError, "only support floating point", [np.zeros(3, np.int64)])],
          tolerances={"float32": (1e-5, 1e-6), "float16": (4e-3, 1e-4)}, same_bits=False),
    OpRow("std", samples([c for c in FILLED if c[0] != ()], correction=0), moments(np.std), FLOATS,
          grads(FILLED[1:7], correction=0), tolerances={"float32": (1e-5, 1e-6), "float16": (4e-3, 1e-4)}, same_bits=False),
    *(
        OpRow("norm", samples(FILLED, p=p), norm_ref, FLOATS, grads(FILLED[:9], low=0.3, p=p), id=f"norm-{p}",
              tolerances={"float32": (1e-5, 1e-6), "float64": (1e-11, 1e-12), "float16": (4e-3, 1e-3)}, same_bits=False)
        for p in (2, 1, 0, 3, 0.5, np.inf, -np.inf)
    ),
    OpRow("logsumexp", samples(ONE_DIM), logsumexp_ref, FLOATS, grads(ONE_DIM), tolerances=LOOSE, same_bits=False),
    OpRow("cumsum", samples(ONE_DIM, low=0, keepdim=False), running(np.cumsum), NUMBERS, grads(ONE_DIM, keepdim=False), to_sum,
          errors=[DIM]),
    OpRow("cumprod", samples(ONE_DIM, low=0.9, high=1.1, keepdim=False), running(np.cumprod), FLOATS,
          grads(ONE_DIM, keepdim=False), errors=[DIM], tolerances=LOOSE),
    OpRow("logcumsumexp", samples(ONE_DIM, keepdim=False), running(np.logaddexp.accumulate), FLOATS,
          grads(ONE_DIM, keepdim=False), tolerances=LOOSE),
    OpRow("cummax", samples(ONE_DIM, keepdim=False), running_index(lambda a, b: a > b), NUMBERS,
          grads(ONE_DIM, keepdim=False), tolerances=EXACT),
    OpRow("cummin", samples(ONE_DIM, keepdim=False), running_index(lambda a, b: a < b), NUMBERS,
          grads(ONE_DIM, keepdim=False), tolerances=EXACT),
]
