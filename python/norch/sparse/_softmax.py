"""Softmax over the values of sparse tensors, and matrices of given diagonals."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor

from ._base import add_rows, unsupported
from ._compressed import CompressedTensor
from ._shapes import real_dim
from ._tensor import SparseTensor

__all__ = ["log_softmax", "softmax", "spdiags"]


def _softmax(name: str, input: Any, dim: int, dtype: Any) -> SparseTensor:
    if type(input) is CompressedTensor:
        input = input.to_sparse_coo()
    if type(input) is not SparseTensor:
        raise NotImplementedError(f"sparse.{name}: expected a sparse tensor; norch.{name} takes dense ones")
    if not isinstance(dim, int):
        raise TypeError(f"{name}(): argument 'dim' must be int, not {type(dim).__name__}")
    d, t = real_dim(dim, input.dim()), input.coalesce()
    v = t._v if dtype is None else t._v.to(dtype)
    if not v.is_floating_point():
        unsupported(f"{name} of {v.dtype}")
    n = t.sparse_dim()
    if d >= n:
        return t._with(getattr(norch, name)(v, d - n + 1))
    if v.numel() == 0:
        return t._with(v)
    # The values that share all other coordinates make one row.
    rest = SparseTensor(norch.cat([t._i[:d], t._i[d + 1 :]]), v, [*t.shape[:d], *t.shape[d + 1 :]])
    groups, row = norch.unique(rest._linear(), return_inverse=True)
    at = row.reshape(-1, *[1] * (v.dim() - 1)).expand(v.shape)
    least = v.detach().new_full((len(groups), *v.shape[1:]), -norch.inf)
    v = v - least.scatter_reduce(0, at, v.detach(), "amax").index_select(0, row)
    sums = add_rows(len(groups), row, v.exp()).index_select(0, row)
    return t._with(v.exp() / sums if name == "softmax" else v - sums.log())


def softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """softmax(input, dim, *, dtype=None) -> Tensor

    The softmax along `dim` of the values that are there: what is left out counts as -inf, not as zero. Coalesced.

    >>> norch.sparse.softmax(norch.sparse_coo_tensor([[0, 0], [0, 2]], [1.0, 1.0], (1, 3)), 1).to_dense()
    tensor([[0.5000, 0.0000, 0.5000]])
    """
    return _softmax("softmax", input, dim, dtype)


def log_softmax(input: Tensor, dim: int, *, dtype: Any = None) -> Tensor:
    """log_softmax(input, dim, *, dtype=None) -> Tensor

    The logarithm of `softmax`."""
    return _softmax("log_softmax", input, dim, dtype)


def spdiags(diagonals: Tensor, offsets: Tensor, shape: Any, layout: Any = None) -> Tensor:
    """spdiags(diagonals, offsets, shape, layout=None) -> Tensor

    A sparse matrix with the rows of `diagonals` [k, n] (or [n]) as diagonals: the one of offset o has
    diagonals[k, j] in column j. RuntimeError for offsets that are there twice.

    >>> norch.sparse.spdiags(norch.tensor([[1.0, 2.0]]), norch.tensor([1]), (2, 2)).to_dense()
    tensor([[0., 2.],
            [0., 0.]])
    """
    rows: Tensor = norch.atleast_2d(diagonals)
    n, m = shape
    numbers = norch.as_tensor(offsets).reshape(-1).tolist()
    if len(numbers) != rows.shape[0]:
        raise RuntimeError(
            f"Number of diagonals ({rows.shape[0]}) does not match the number of offsets ({len(numbers)})"
        )
    if len(set(numbers)) != len(numbers):
        raise RuntimeError("Offset tensor contains duplicate values")
    places, values = [], []
    for row, o in zip(rows, numbers):
        first, last = max(o, 0), min(m, n + o, row.shape[0])
        if first < last:
            columns = norch.arange(first, last, device=row.device)
            places.append(norch.stack([columns - o, columns]))
            values.append(row[first:last])
    if not places:
        out = SparseTensor(norch.empty(2, 0, dtype=norch.int64, device=rows.device), rows.reshape(-1)[:0], (n, m), True)
    else:
        out = SparseTensor(norch.cat(places, 1), norch.cat(values), (n, m))
    return out if layout is None else out.to_sparse(layout=layout)
