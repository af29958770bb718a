"""Elements by index: gather, scatter, index_*, take, masks."""

import numpy as np

from .row import ALL, FLOATS, NUMBERS, Error, OpRow, Sample, random_array


def indices(shape, size, unique_along=None):
    if unique_along is None:
        return np.random.randint(0, size, shape)
    full = [size if d == unique_along else n for d, n in enumerate(shape)]
    return np.argsort(np.random.rand(*full), unique_along).take(np.arange(shape[unique_along]), unique_along)


def along(index, dim):
    """The tuple that addresses index[i][j] along dim in NumPy."""
    return tuple(index if d == dim else g for d, g in enumerate(np.indices(index.shape)))


def make(build):
    """samples and grad_samples of a function of (make an array, ...)."""
    return {
        "samples": lambda dtype: [Sample(*s) for s in build(lambda *shape: random_array(shape, dtype))],
        "grad_samples": lambda: [Sample(*s) for s in build(lambda *shape: np.asarray(np.random.randn(*shape)))],
    }


def gather_cases(a):
    return [([a(4, 5), 0, indices((3, 5), 4)],), ([a(4, 5), 1, indices((2, 7), 5)],), ([a(3), 0, indices((6,), 3)],),
            ([a(2, 3, 4), -2, indices((2, 3, 2), 3)],)]


def scatter_cases(a):
    return [([a(4, 5), 0, indices((3, 5), 4, 0), a(3, 5)],), ([a(4, 5), 1, indices((2, 4), 5, 1), a(3, 4)],)]


def repeated_cases(a):
    return [([a(4, 5), 0, indices((7, 5), 4), a(7, 5)],), ([a(4, 5), 1, indices((2, 9), 5), a(3, 9)],),
            ([a(6), 0, indices((40,), 6), a(40)],)]


def part(src, index):
    return src[tuple(slice(n) for n in index.shape)]


def scatter_ref(a, dim, index, src):
    out = a.copy()
    out[along(index, dim % a.ndim)] = part(src, index)
    return out


def scatter_add_ref(a, dim, index, src):
    out = a.copy()
    np.add.at(out, along(index, dim % a.ndim), part(src, index))
    return out


def reduce_ref(ufunc):
    def ref(a, dim, index, src, reduce, include_self=True):
        out = a.copy()
        if not include_self:
            start = {"prod": 1, "amax": -np.inf, "amin": np.inf}.get(reduce, 0)
            out[along(index, dim)] = start if np.isfinite(start) or out.dtype.kind == "f" else (
                np.iinfo(out.dtype).min if start < 0 else np.iinfo(out.dtype).max)
        ufunc.at(out, along(index, dim), part(src, index))
        if reduce == "mean":
            n = np.full(a.shape, include_self, a.dtype)
            np.add.at(n, along(index, dim), np.ones((), a.dtype))
            n = np.maximum(n, 1)
            out = out / n if out.dtype.kind == "f" else out // n
        return out

    return ref


def reduce_row(reduce, ufunc):
    def build(a):
        x, src, index = a(3, 4), a(5, 4), indices((5, 4), 3)
        return [([x, 0, index, src, reduce],), ([x, 0, index, src, reduce], {"include_self": False})]

    return OpRow("scatter_reduce", ref=reduce_ref(ufunc), dtypes=("int32", "int64", "float32", "float64"),
                 id=f"scatter_reduce-{reduce}", errors=[
                     Error(RuntimeError, "must be either sum, prod, mean, amax or amin",
                           [np.zeros((2, 2)), 0, np.zeros((1, 2), int), np.zeros((1, 2)), "median"])], **make(build))


def on_dim(a, dim, index):
    return (slice(None),) * (dim % a.ndim) + (index,)


def index_add_ref(a, dim, index, source, alpha=1):
    out = a.copy()
    np.add.at(out, on_dim(a, dim, index), alpha * source)
    return out


def index_copy_ref(a, dim, index, source):
    out = a.copy()
    out[on_dim(a, dim, index)] = source
    return out


def put_ref(a, index, source, accumulate=False):
    out = a.copy()
    if accumulate:
        np.add.at(out.reshape(-1), index, source)
    else:
        out.reshape(-1)[index] = source
    return out


def masked_scatter_ref(a, mask, source):
    out = np.broadcast_to(a, np.broadcast_shapes(a.shape, mask.shape)).copy()
    mask = np.broadcast_to(mask, out.shape)
    out[mask] = source.reshape(-1)[: mask.sum()]
    return out


def masked_select_ref(a, mask):
    a, mask = np.broadcast_arrays(a, mask)
    return a[mask]


def mask(*shape):
    return np.random.rand(*shape) < 0.5


def embedding_ref(index, weight):
    return weight[index]


x, i = np.zeros((3, 4)), np.zeros((2, 4), int)
out_of_range = [Error(IndexError, "index 9 is out of bounds for dimension 0 with size 3", [x, 0, i + 9])]
far = np.array([1, 9])

ROWS = [
    OpRow("gather", ref=lambda a, d, n: a[along(n, d % a.ndim)], dtypes=ALL, errors=[
        *out_of_range,
        Error(IndexError, "index -1 is out of bounds", [x, 0, i - 1]),
        Error(RuntimeError, "same number of dimensions", [x, 0, i[0]]),
        Error(RuntimeError, "expected index .* to be no larger than self", [x, 0, np.zeros((2, 5), int)]),
        Error(RuntimeError, "int64", [x, 0, x])], **make(gather_cases)),
    OpRow("scatter", ref=scatter_ref, dtypes=ALL, in_place="scatter_", errors=[
        Error(IndexError, "index 9 is out of bounds for dimension 0 with size 3", [x, 0, i + 9, x]),
        Error(RuntimeError, "dtype", [x, 0, i, x.astype("float32")])], **make(scatter_cases)),
    OpRow("scatter_add", ref=scatter_add_ref, dtypes=NUMBERS, in_place="scatter_add_",
          tolerances={"float16": (4e-3, 1e-2), "bfloat16": (3e-2, 1e-1), "float32": (1e-5, 1e-5)}, **make(repeated_cases)),
    reduce_row("sum", np.add), reduce_row("prod", np.multiply), reduce_row("mean", np.add),
    reduce_row("amax", np.maximum), reduce_row("amin", np.minimum),
    OpRow("take_along_dim", ref=np.take_along_axis, dtypes=ALL,
          **make(lambda a: [([a(3, 4), indices((2, 4), 3), 0],), ([a(3, 4), indices((3, 1), 4), 1],)])),
    OpRow("index_select", ref=lambda a, d, n: a.take(n, d), dtypes=ALL, errors=[
        Error(IndexError, "index 9 is out of bounds for dimension 0 with size 3", [x, 0, far]),
        Error(IndexError, "is supposed to be a vector", [x, 0, i])],
        **make(lambda a: [([a(3, 4), 0, indices((5,), 3)],), ([a(3, 4), 1, indices((2,), 4)],),
                          ([a(3, 4, 2), -1, indices((0,), 2)],)])),
    OpRow("index_add", ref=index_add_ref, dtypes=NUMBERS, in_place="index_add_",
          tolerances={"float16": (4e-3, 1e-2), "bfloat16": (3e-2, 1e-1), "float32": (1e-5, 1e-5)},
          errors=[Error(RuntimeError, "Number of indices", [x, 0, far, x])],
          **make(lambda a: [([a(3, 4), 0, indices((7,), 3), a(7, 4)],), ([a(3, 4), 1, indices((6,), 4), a(3, 6)],
                                                                        {"alpha": 2})])),
    OpRow("index_copy", ref=index_copy_ref, dtypes=ALL, in_place="index_copy_",
          **make(lambda a: [([a(5, 4), 0, np.random.permutation(5)[:3], a(3, 4)],)])),
    OpRow("index_fill", ref=index_copy_ref, dtypes=ALL, in_place="index_fill_",
          **make(lambda a: [([a(5, 4), 0, indices((3,), 5), 1],), ([a(5, 4), 1, np.array([-1]), 1],)])),
    OpRow("take", ref=lambda a, n: a.reshape(-1)[n], dtypes=ALL,
          errors=[Error(IndexError, "out of bounds", [x, np.array([12])])],
          **make(lambda a: [([a(3, 4), np.array([[0, 11], [-1, 3]])],), ([a(3, 4), indices((0,), 3)],)])),
    OpRow("masked_select", ref=masked_select_ref, dtypes=ALL,
          errors=[Error(RuntimeError, "expected BoolTensor", [x, i[:1]])],
          **make(lambda a: [([a(3, 4), mask(3, 4)],), ([a(3, 4), mask(4)],), ([a(4), mask(3, 1)],)])),
    OpRow("masked_scatter", ref=masked_scatter_ref, dtypes=ALL,
          errors=[Error(RuntimeError, "Number of elements of source < number of ones in mask",
                        [x, np.ones((3, 4), bool), x[0]])],
          **make(lambda a: [([a(3, 4), mask(3, 4), a(12)],), ([a(3, 4), mask(4), a(3, 5)],)])),
    OpRow("nonzero", lambda dtype: [Sample([random_array(s, dtype, -1, 2)]) for s in ((), (5,), (3, 4), (0,), (2, 3, 4))],
          np.argwhere, dtypes=ALL, result=lambda dtype: "int64"),
    OpRow("argwhere", lambda dtype: [Sample([random_array((3, 4), dtype, -1, 2)])], np.argwhere, dtypes=ALL,
          result=lambda dtype: "int64"),
    OpRow("searchsorted", lambda dtype: [Sample([np.sort(random_array((9,), dtype)), random_array((3, 4), dtype)], k)
                                         for k in ({}, {"right": True})],
          lambda s, v, right=False: np.searchsorted(s, v, "right" if right else "left"), dtypes=NUMBERS, method=None,
          result=lambda dtype: "int64"),
    OpRow("nn.functional.embedding",
          lambda dtype: [Sample([indices((2, 5), 4), random_array((4, 3), dtype)])], embedding_ref, dtypes=FLOATS,
          grad_samples=lambda: [Sample([indices((2, 9), 4), np.random.randn(4, 3)])],
          method=None, errors=[Error(IndexError, "index 9 is out of bounds for dimension 0 with size 3", [far, x])]),
]
