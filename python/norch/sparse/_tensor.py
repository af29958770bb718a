"""SparseTensor: coordinates, values and sizes."""

from __future__ import annotations

import math
from typing import Any

import norch
from norch._C import Tensor
from norch._layout import sparse_coo

from ._base import Base, add_rows, unsupported

__all__ = ["SparseTensor", "pack"]


def pack(tensors: tuple) -> tuple[tuple, Any]:
    """The dense tensors that these (None, dense or sparse) are made of, and what puts them together again."""
    parts: list = []
    makers: list = []
    for t in tensors:
        at = len(parts)
        if type(t) is SparseTensor:
            parts += [t._i, t._v]
            size, coalesced = t._size, t._coalesced
            makers.append(lambda p, at=at, rest=(size, coalesced): SparseTensor(p[at], p[at + 1], *rest))
        elif isinstance(t, Base):
            parts.append(t._v)
            makers.append(lambda p, at=at, like=t.detach(): like._with(p[at]))
        else:
            parts.append(t)
            makers.append(lambda p, at=at: p[at])
    return tuple(parts), lambda p: tuple(make(p) for make in makers)


class SparseTensor(Base):
    """A tensor of layout norch.sparse_coo, made by `norch.sparse_coo_tensor` or `to_sparse`, and the gradient of tables
    that were looked up with sparse=True.

    Coordinates may appear several times, and then stand for the sum of their values, until `coalesce()` adds those up
    and sorts."""

    def __init__(self, indices: Tensor, values: Tensor, size: Any, coalesced: bool = False) -> None:
        self._i, self._v, self._size = indices, values, norch.Size(size)
        self._coalesced = coalesced

    layout = property(lambda self: sparse_coo)
    is_sparse = property(lambda self: True)
    is_sparse_csr = property(lambda self: False)

    def sparse_dim(self) -> int:
        """How many dims the coordinates are for."""
        return self._i.shape[0]

    def _indices(self) -> Tensor:
        return self._i

    def _values(self) -> Tensor:
        return self._v

    def is_coalesced(self) -> bool:
        """Whether the coordinates are sorted, and each is there once."""
        return self._coalesced

    def indices(self) -> Tensor:
        """The coordinates, [sparse_dim, nnz]. RuntimeError unless coalesced."""
        self._need_coalesced("indices")
        return self._i

    def values(self) -> Tensor:
        """The values, [nnz, ...]. RuntimeError unless coalesced."""
        self._need_coalesced("values")
        return self._v

    def _need_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # -- other forms ----------------------------------------------------------------------------------

    def _with(self, values: Tensor) -> SparseTensor:
        """The same coordinates with other values."""
        return SparseTensor(self._i, values, self._size, self._coalesced)

    def _linear(self) -> Tensor:
        """The coordinates as numbers of the rows of the dense form."""
        sizes = self._size[: self.sparse_dim()]
        if math.prod(sizes) >= 2**63:
            raise RuntimeError(f"a sparse tensor of sizes {tuple(sizes)} has more places than 64 bits can number")
        linear = self._i.new_zeros(self._nnz()) if not sizes else self._i[0]
        for d in range(1, len(sizes)):
            linear = linear * sizes[d] + self._i[d]
        return linear

    def coalesce(self) -> SparseTensor:
        """The same tensor with sorted coordinates, each once: values of one place are added up."""
        if self._coalesced:
            return self
        if self._nnz() < 2:
            return SparseTensor(self._i, self._v, self._size, True)
        linear, inverse = norch.unique(self._linear(), return_inverse=True)
        values = add_rows(linear.shape[0], inverse, self._v)
        rows = []
        for size in reversed(self._size[: self.sparse_dim()]):
            rows.append(linear % size)
            linear = linear // size
        indices = norch.stack(rows[::-1]) if rows else self._i[:, :1]
        return SparseTensor(indices, values, self._size, True)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense tensor of the same sizes."""
        sparse = self._size[: self.sparse_dim()]
        dense = add_rows(math.prod(sparse), self._linear(), self._v).reshape(tuple(self._size))
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None) -> Any:
        if layout not in (None, sparse_coo):
            from ._compressed import compress

            return compress(self, layout)
        if sparse_dim not in (None, self.sparse_dim()):
            raise RuntimeError(
                "to_sparse: conversion from Sparse to Sparse with sparse_dim argument !=self.sparse_dim() is not supported"
            )
        return self

    def to_sparse_coo(self) -> SparseTensor:
        return self

    def to_sparse_csr(self, dense_dim: Any = None) -> Any:
        return self.to_sparse(layout=norch.sparse_csr)

    def to_sparse_csc(self, dense_dim: Any = None) -> Any:
        return self.to_sparse(layout=norch.sparse_csc)

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        values = self._v.to(*args, **kwargs)
        if values is self._v:
            return self
        return SparseTensor(self._i.to(values.device), values, self._size, self._coalesced)

    def clone(self, **options: Any) -> SparseTensor:
        return SparseTensor(self._i.clone(), self._v.clone(), self._size, self._coalesced)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return SparseTensor, (self._i, self._v, tuple(self._size), self._coalesced)

    def __deepcopy__(self, memo: dict) -> SparseTensor:
        import copy

        if id(self) not in memo:
            indices, values = copy.deepcopy(self._i, memo), copy.deepcopy(self._v, memo)
            memo[id(self)] = SparseTensor(indices, values, self._size, self._coalesced)
        return memo[id(self)]

    # -- in place -------------------------------------------------------------------------------------

    def _become(self, other: SparseTensor) -> SparseTensor:
        if self.requires_grad and self.is_leaf and norch.is_grad_enabled():
            raise RuntimeError("a leaf Variable that requires grad is being used in an in-place operation.")
        self._i, self._v, self._size, self._coalesced = other._i, other._v, other._size, other._coalesced
        return self

    def copy_(self, src: SparseTensor, non_blocking: bool = False) -> SparseTensor:
        if not src.is_sparse or src.shape != self._size:
            raise RuntimeError(f"copy_: expected a sparse tensor of sizes {tuple(self._size)} as source")
        indices, values = src._i.to(self.device, copy=True), src._v.to(self.device, self.dtype, copy=True)
        return self._become(SparseTensor(indices, values, self._size, src._coalesced))

    def zero_(self) -> SparseTensor:
        if self._v.numel():
            self._v.zero_()  # seen by whoever shares the values, too
        return self._become(SparseTensor(self._i[:, :0], self._v.detach()[:0], self._size, True))

    def add_(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        result = self.add(other, alpha=alpha)
        return self._become(result._with(result._v.to(self.dtype)))

    def sub_(self, other: Any, *, alpha: Any = 1) -> SparseTensor:
        return self.add_(other, alpha=-alpha)

    def sparse_resize_(self, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
        """Changes the sizes; dims can't shrink while there are values."""
        size = tuple(size)
        if sparse_dim + dense_dim != len(size):
            raise RuntimeError(
                f"number of dimensions must be sparse_dim ({sparse_dim}) + dense_dim ({dense_dim}), but got {len(size)}"
            )
        if self._nnz() == 0:
            return self.sparse_resize_and_clear_(size, sparse_dim, dense_dim)
        if (sparse_dim, dense_dim) != (self.sparse_dim(), self.dense_dim()):
            unsupported("sparse_resize_ to another number of sparse or dense dims, of a tensor with values,")
        if size[sparse_dim:] != tuple(self._size[sparse_dim:]) or any(a < b for a, b in zip(size, self._size)):
            raise RuntimeError(
                f"shrinking the size of sparse dimensions (from {list(self._size)} to {list(size)}), or changing dense ones, on a "
                "non-empty sparse tensor is not supported"
            )
        return self._become(SparseTensor(self._i, self._v, size, self._coalesced))

    def sparse_resize_and_clear_(self, size: Any, sparse_dim: int, dense_dim: int) -> SparseTensor:
        """Changes the sizes and drops all values."""
        size = tuple(size)
        values = self._v.detach().new_empty((0, *size[sparse_dim:]))
        return self._become(SparseTensor(self._i.new_empty((sparse_dim, 0)), values, size, True))
