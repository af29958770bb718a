"""Views, parts and rearrangements."""

from itertools import combinations, combinations_with_replacement

import numpy as np

from .row import ALL, Error, OpRow, Sample, random_array


def row(name, cases, ref, method="same", errors=(), grad=True, **kwargs):
    """cases: (shape, args, kwargs); ref gets the array and the same arguments."""

    def samples(dtype):
        return [Sample([random_array(s, dtype), *a], k) for s, a, k in cases]

    def grad_samples():
        return [Sample([np.asarray(np.random.randn(*s)), *a], k) for s, a, k in cases if 0 not in s]

    return OpRow(name, samples, ref, dtypes=ALL, grad_samples=grad_samples if grad else None, method=method,
                 errors=errors, **kwargs)


def case(shape, *args, **kwargs):
    return shape, args, kwargs


def x(*shape):
    return np.zeros(shape)


def unfold(a, dim, size, step):
    return np.moveaxis(np.lib.stride_tricks.sliding_window_view(a, size, dim), -1, -1).take(
        np.arange(0, a.shape[dim] - size + 1, step), dim)


def unflatten(a, dim, sizes):
    dim %= a.ndim
    return a.reshape(a.shape[:dim] + tuple(sizes) + a.shape[dim + 1:])


def flatten(a, start=0, end=-1):
    if a.ndim == 0:
        return a.reshape(1)
    start, end = start % a.ndim, end % a.ndim
    return a.reshape(a.shape[:start] + (-1 if a.size else 0,) + a.shape[end + 1:])


def diag_embed(a, offset=0, dim1=-2, dim2=-1):
    n = a.shape[-1] + abs(offset)
    out = np.zeros(a.shape[:-1] + (n, n), a.dtype)
    rows = np.arange(a.shape[-1]) + max(-offset, 0)
    out[..., rows, rows + offset] = a
    return np.moveaxis(out, (-2, -1), (dim1, dim2))


def narrow(a, dim, start, length):
    return a.take(np.arange(length) + start % a.shape[dim], dim)


def split(a, size, dim=0):
    cuts = np.arange(size, a.shape[dim], size) if isinstance(size, int) else np.cumsum(size)[:-1]
    return np.split(a, cuts, dim)


def replace(part):
    def ref(a, src, *args, **kwargs):
        out = a.copy()
        out[part(a, *args, **kwargs)] = src
        return out

    return ref


def at_select(a, dim, index):
    return (slice(None),) * dim + (index,)


def at_slice(a, dim=0, start=None, end=None, step=1):
    return (slice(None),) * dim + (slice(start, end, step),)


def at_diagonal(a, offset=0):
    n = min(a.shape[0] + min(offset, 0), a.shape[1] - max(offset, 0))
    return np.arange(n) + max(-offset, 0), np.arange(n) + max(offset, 0)


def scatter_row(name, cases, part):
    def samples(dtype):
        return [Sample([random_array(s, dtype), random_array(p, dtype), *a]) for s, p, a in cases]

    def grad():
        return [Sample([np.random.randn(*s), np.random.randn(*p), *a]) for s, p, a in cases]

    return OpRow(name, samples, replace(part), dtypes=ALL, grad_samples=grad)


ROWS = [
    row("reshape", [case((2, 6), (3, -1)), case((), (1, 1)), case((0, 3), (3, 0))],
        lambda a, s: a.reshape(s),
        errors=[Error(RuntimeError, r"shape '\[5\]' is invalid for input of size 6", [x(2, 3), (5,)]),
                Error(RuntimeError, "only one dimension can be inferred", [x(2, 3), (-1, -1)]),
                Error(RuntimeError, "ambiguous", [x(0, 3), (0, -1)])]),
    row("flatten", [case((2, 3, 4)), case((2, 3, 4), 1), case((2, 3, 4), 0, 1), case(()), case((0, 3))], flatten,
        errors=[Error(RuntimeError, "start_dim cannot come after end_dim", [x(2, 3), 1, 0])]),
    row("unflatten", [case((2, 6), 1, (2, 3)), case((4, 0), -2, (2, 2))], unflatten,
        errors=[Error(RuntimeError, "don't multiply up to the size of dim 1", [x(2, 6), 1, (4, 2)])]),
    row("ravel", [case((2, 3)), case(()), case((0,))], np.ravel),
    row("transpose", [case((2, 3, 4), 0, 2), case((2, 3), -1, 0), case((), 0, 0)],
        lambda a, i, j: np.swapaxes(a, i, j) if a.ndim else a,
        errors=[Error(IndexError, r"expected to be in range of \[-2, 1\], but got 2", [x(2, 3), 0, 2])]),
    row("swapaxes", [case((2, 3, 4), 0, 2)], np.swapaxes),
    row("t", [case((2, 3)), case((3,)), case(())], np.transpose,
        errors=[Error(RuntimeError, "expects a tensor with <= 2 dimensions, but self is 3D", [x(1, 2, 3)])]),
    row("permute", [case((2, 3, 4), (2, 0, 1)), case((2, 3), (-1, 0)), case((), ())], np.transpose,
        errors=[Error(RuntimeError, "duplicate dims are not allowed", [x(2, 3), (0, 0)]),
                Error(RuntimeError, "does not match the length", [x(2, 3), (0,)])]),
    row("movedim", [case((2, 3, 4), 0, 2), case((2, 3, 4), (0, 1), (2, 0))], np.moveaxis,
        errors=[Error(RuntimeError, "repeated dim in `source`", [x(2, 3), (0, 0), (0, 1)])]),
    row("broadcast_to", [case((3,), (2, 3)), case((2, 1), (2, 4)), case((), (2, 2)), case((1,), (0,))], np.broadcast_to,
        errors=[Error(RuntimeError, r"expanded size of the tensor \(4\) must match the existing size \(3\)", [x(3), (4,)])]),
    row("squeeze", [case((1, 3, 1)), case((1, 3, 1), 0), case((1, 3, 1), 1), case((1, 3, 1), (0, 2))],
        lambda a, d=None: np.squeeze(a, tuple(
            i for i in ([d] if isinstance(d, int) else d if d is not None else range(a.ndim)) if a.shape[i] == 1))),
    row("unsqueeze", [case((2, 3), 0), case((2, 3), -1), case((), 0)], np.expand_dims,
        errors=[Error(IndexError, "out of range", [x(2, 3), 3])]),
    row("select", [case((2, 3, 4), 1, 2), case((2, 3), -1, -3)], lambda a, d, i: a.take(i, d),
        errors=[Error(IndexError, "index 3 out of range", [x(2, 3), 1, 3]), Error(IndexError, "0-dim", [x(), 0, 0])]),
    row("narrow", [case((4, 5), 1, 1, 3), case((4, 5), 0, -2, 2), case((4,), 0, 4, 0)], narrow,
        errors=[Error(RuntimeError, r"start \(3\) \+ length \(3\) exceeds dimension size \(5\)", [x(4, 5), 1, 3, 3])]),
    row("diagonal", [case((3, 4)), case((3, 4), 1), case((3, 4), -2), case((2, 3, 4), 0, 0, 2), case((3, 4), 9)], np.diagonal,
        errors=[Error(RuntimeError, "diagonal dimensions cannot be identical", [x(2, 3), 0, 1, 1])]),
    row("split", [case((7, 2), 3), case((2, 5), [1, 4], 1), case((4,), 2)], split, method=None,
        errors=[Error(RuntimeError, "sum exactly to 7", [x(7), [1, 2]])]),
    row("chunk", [case((7,), 3), case((2, 4), 2, 1)], lambda a, n, d=0: split(a, -(-a.shape[d] // n), d),
        errors=[Error(RuntimeError, "greater than 0, got: 0", [x(3), 0])]),
    row("tensor_split", [case((7,), 3), case((2, 7), (1, 3), 1), case((2,), 5)], np.array_split,
        errors=[Error(RuntimeError, "must be larger than 0, got 0", [x(3), 0]),
                Error(RuntimeError, "sections of a dim of size 3 are too many", [x(3), 2**62])]),
    row("unbind", [case((3, 2)), case((3, 2), 1)], lambda a, d=0: list(np.moveaxis(a, d, 0)),
        errors=[Error(IndexError, "has no dimensions", [x()])]),
    row("flip", [case((2, 3, 4), (0,)), case((2, 3, 4), (0, 2)), case((0, 3), (0,)), case((5,), (-1,))], np.flip,
        errors=[Error(RuntimeError, "appears multiple times", [x(2, 3), (0, 0)])]),
    row("roll", [case((5,), 2), case((3, 4), (1, -2), (0, 1)), case((3, 4), 5), case((0,), 1)], np.roll,
        errors=[Error(RuntimeError, "shifts and dimensions must align", [x(2, 3), (1, 2), (0,)])]),
    row("rot90", [case((2, 3)), case((2, 3), 2), case((2, 3, 4), -1, (1, 2))], np.rot90),
    row("fliplr", [case((2, 3)), case((2, 3, 2))], np.fliplr, errors=[Error(RuntimeError, "must be >= 2", [x(3)])]),
    row("flipud", [case((2, 3)), case((4,))], np.flipud, errors=[Error(RuntimeError, "must be >= 1", [x()])]),
    row("hsplit", [case((4,), 2), case((2, 5), (1, 3))], np.hsplit,
        errors=[Error(RuntimeError, "not a multiple|divisible", [x(5), 2])]),
    row("vsplit", [case((4, 2), 2), case((5, 2), (1, 3))], np.vsplit),
    row("dsplit", [case((2, 2, 4), 2), case((2, 2, 5), (1, 3))], np.dsplit),
    row("unsafe_split", [case((7, 2), 3), case((2, 5), 2, 1)], split),
    row("unsafe_split_with_sizes", [case((7, 2), [3, 4]), case((2, 5), [1, 1, 3], 1)], split),
    row("adjoint", [case((2, 3)), case((2, 3, 4)), case(())], lambda a: np.swapaxes(a, -1, -2) if a.ndim else a),
    row("combinations", [case((4,)), case((4,), 3), case((3,), 2, True)],
        lambda a, r=2, again=False: a[np.array(list((combinations_with_replacement if again else combinations)(
            range(len(a)), r)))], method=None),
    row("view_copy", [case((2, 6), (3, -1)), case((4,), (2, 2))], np.reshape, method=None),
    row("expand_copy", [case((3,), (2, 3)), case((2, 1), (2, 4))], np.broadcast_to, method=None),
    row("permute_copy", [case((2, 3, 4), (2, 0, 1))], np.transpose, method=None),
    row("transpose_copy", [case((2, 3, 4), 0, 2)], np.swapaxes, method=None),
    row("t_copy", [case((2, 3))], np.transpose, method=None),
    row("unsqueeze_copy", [case((2, 3), 1)], np.expand_dims, method=None),
    row("squeeze_copy", [case((1, 3, 1)), case((1, 3, 1), 0)], np.squeeze, method=None),
    row("select_copy", [case((2, 3, 4), 1, 2)], lambda a, d, i: a.take(i, d), method=None),
    row("diagonal_copy", [case((3, 4)), case((3, 4), 1)], np.diagonal, method=None),
    row("unbind_copy", [case((3, 2)), case((3, 2), 1)], lambda a, d=0: list(np.moveaxis(a, d, 0)), method=None),
    row("split_with_sizes_copy", [case((7, 2), [3, 4])], split, method=None),
    row("tile", [case((2, 3), (2,)), case((2,), (2, 3)), case((2, 3), (0, 1))], np.tile),
    row("repeat_interleave", [case((2, 3), 2), case((2, 3), 2, 1), case((2, 3), np.array([0, 2, 1]), 1)],
        lambda a, n, d=None: np.repeat(a, n, d),
        errors=[Error(RuntimeError, "non-negative", [x(2), -1])]),
    row("diag", [case((3,)), case((3, 4)), case((3,), 1), case((3, 4), -1)], np.diag),
    row("diag_embed", [case((2, 3)), case((2, 3), 1), case((3,), -1), case((2, 3), 0, 0, 2)], diag_embed),
    scatter_row("select_scatter", [((3, 4), (3,), (1, 2))], at_select),
    scatter_row("slice_scatter", [((5, 2), (2, 2), (0, 1, 4, 2)), ((4,), (4,), ())], at_slice),
    scatter_row("diagonal_scatter", [((3, 4), (3,), ()), ((3, 4), (3,), (1,))], at_diagonal),
]
