"""CompressedTensor: matrices of compressed rows (norch.sparse_csr) or columns (norch.sparse_csc)."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor
from norch._layout import sparse_coo, sparse_csc, sparse_csr, strided

from ._base import Base, add_rows, unsupported
from ._tensor import SparseTensor

__all__ = [
    "CompressedTensor", "compress", "sparse_compressed_tensor", "sparse_csc_tensor", "sparse_csr_tensor",
]  # fmt: skip


class CompressedTensor(Base):
    """A matrix of layout norch.sparse_csr: row i has the values[k], at columns col_indices[k], for k from
    crow_indices[i] up to crow_indices[i + 1]. norch.sparse_csc is the same with rows and columns exchanged."""

    def __init__(self, starts: Tensor, others: Tensor, values: Tensor, size: Any, layout: Any) -> None:
        self._starts, self._others, self._v, self._size = starts, others, values, norch.Size(size)
        self._layout = layout

    layout = property(lambda self: self._layout)
    is_sparse = property(lambda self: False)
    is_sparse_csr = property(lambda self: self._layout is sparse_csr)
    _by_rows = property(lambda self: self._layout is sparse_csr)

    def sparse_dim(self) -> int:
        return 2

    def values(self) -> Tensor:
        """The values, [nnz]."""
        return self._v

    def crow_indices(self) -> Tensor:
        """Where each row's values begin, and the number of all: [rows + 1]. RuntimeError for compressed columns."""
        return self._starts if self._by_rows else super().crow_indices()

    def col_indices(self) -> Tensor:
        """The column of each value. RuntimeError for compressed columns."""
        return self._others if self._by_rows else super().col_indices()

    def ccol_indices(self) -> Tensor:
        """Where each column's values begin, and the number of all: [columns + 1]. RuntimeError for compressed rows."""
        return super().ccol_indices() if self._by_rows else self._starts

    def row_indices(self) -> Tensor:
        """The row of each value. RuntimeError for compressed rows."""
        return super().row_indices() if self._by_rows else self._others

    # -- other forms ----------------------------------------------------------------------------------

    def _with(self, values: Tensor) -> CompressedTensor:
        return CompressedTensor(self._starts, self._others, values, self._size, self._layout)

    def to_sparse_coo(self) -> SparseTensor:
        """The same matrix as coordinates."""
        others = self._others.to(norch.int64)
        lines = norch.arange(len(self._starts) - 1, device=others.device)
        own = lines.repeat_interleave(self._starts.diff().to(norch.int64))
        if self._by_rows:
            return SparseTensor(norch.stack([own, others]), self._v, self._size, True)
        return SparseTensor(norch.stack([others, own]), self._v, self._size).coalesce()

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None, dense_dim: Any = None) -> Any:
        if layout is self._layout:
            return self
        return self.to_sparse_coo().to_sparse(sparse_dim, layout=layout)

    def to_sparse_csr(self, dense_dim: Any = None) -> CompressedTensor:
        return self.to_sparse(layout=sparse_csr)

    def to_sparse_csc(self, dense_dim: Any = None) -> CompressedTensor:
        return self.to_sparse(layout=sparse_csc)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense matrix."""
        return self.to_sparse_coo().to_dense(dtype)

    def to(self, *args: Any, **kwargs: Any) -> CompressedTensor:
        values = self._v.to(*args, **kwargs)
        if values is self._v:
            return self
        starts, others = self._starts.to(values.device), self._others.to(values.device)
        return CompressedTensor(starts, others, values, self._size, self._layout)

    def clone(self, **options: Any) -> CompressedTensor:
        return CompressedTensor(self._starts.clone(), self._others.clone(), self._v.clone(), self._size, self._layout)

    def transpose(self, dim0: int, dim1: int) -> CompressedTensor:
        from ._shapes import real_dim

        if real_dim(dim0, 2) == real_dim(dim1, 2):
            return self
        other = sparse_csc if self._by_rows else sparse_csr
        return CompressedTensor(self._starts, self._others, self._v, self._size[::-1], other)

    def t(self) -> CompressedTensor:
        return self.transpose(0, 1)

    T = property(t)
    mT = property(t)

    def zero_(self) -> CompressedTensor:
        self._starts, self._others, self._v = self._starts * 0, self._others[:0], self._v.detach()[:0]
        return self

    def __reduce_ex__(self, protocol: Any) -> Any:
        return CompressedTensor, (self._starts, self._others, self._v, tuple(self._size), self._layout)

    def __deepcopy__(self, memo: dict) -> CompressedTensor:
        import copy

        if id(self) not in memo:
            starts, others, values = (copy.deepcopy(t, memo) for t in (self._starts, self._others, self._v))
            memo[id(self)] = CompressedTensor(starts, others, values, self._size, self._layout)
        return memo[id(self)]

    def __getitem__(self, key: Any) -> Any:
        return self.to_sparse_coo()[key]


def compress(t: SparseTensor, layout: Any) -> Any:
    """A sparse matrix in another layout. NotImplementedError for blocks, and for anything but matrices of numbers."""
    if layout not in (sparse_csr, sparse_csc):
        unsupported(f"to_sparse(layout={layout})")
    if t.sparse_dim() != 2 or t.dense_dim() != 0:
        unsupported(f"to_sparse(layout={layout}) of anything but matrices")
    by_rows = layout is sparse_csr
    t = (t if by_rows else norch.transpose(t, 0, 1)).coalesce()
    own, others = t._i
    counts = add_rows(t.shape[0], own, norch.ones_like(own))
    starts = norch.cat([counts.new_zeros(1), counts.cumsum(0)])
    return CompressedTensor(starts, others.contiguous(), t._v, t.shape if by_rows else t.shape[::-1], layout)


def _holds(condition: bool, text: str) -> None:
    if not condition:
        raise RuntimeError(text)


def _check(starts: Tensor, others: Tensor, values: Tensor, size: tuple, names: tuple[str, str, str, str]) -> None:
    """RuntimeError unless the parts make a matrix; on the GPU only what shapes tell."""
    start, other, of, across = names
    n, m = size if start[1] == "r" else size[::-1]
    _holds(starts.shape[-1] == n + 1, f"{start}.shape[-1] must be equal to the number of {of} + 1 (={n + 1}), but got {starts.shape[-1]}")
    _holds(
        len(others) == len(values),
        f"{other}.shape[-1] must be equal to nnz (={len(values)}) as defined by values.shape[0], but got {len(others)}",
    )
    if not starts.is_cpu:
        return
    _holds(starts[0].item() == 0, f"`{start}[..., 0] == 0` is not satisfied.")
    _holds(starts[-1].item() == len(others), f"`{start}[..., -1] == nnz` is not satisfied.")
    counts = starts.diff()
    _holds(
        bool(((counts >= 0) & (counts <= m)).all()),
        f"`0 <= {start}[..., 1:] - {start}[..., :-1] <= {across}` is not satisfied.",
    )
    _holds(bool(((others >= 0) & (others < m)).all()), f"`0 <= {other} < {across}` is not satisfied.")
    rising = others.diff() > 0
    first = starts[1:-1][(starts[1:-1] > 0) & (starts[1:-1] < len(others))].to(norch.int64) - 1
    rising[first] = True  # from one row to the next, columns may go back
    _holds(
        bool(rising.all()),
        f"`{other}[..., {start}[..., i - 1]:{start}[..., i]] for all i = 1, ..., n{of} are sorted and distinct along the last "
        "dimension values` is not satisfied.",
    )


def sparse_compressed_tensor(
    compressed_indices: Any,
    plain_indices: Any,
    values: Any,
    size: Any = None,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
) -> Tensor:
    """sparse_csr_tensor or sparse_csc_tensor, as `layout` says; NotImplementedError for other layouts."""
    if layout is None or layout in (strided, sparse_coo):
        raise RuntimeError("sparse_compressed_tensor expected sparse compressed tensor layout but got " f"{layout}")
    if layout not in (sparse_csr, sparse_csc):
        unsupported(f"layout {layout}")
    by_rows = layout is sparse_csr
    start, other = ("crow_indices", "col_indices") if by_rows else ("ccol_indices", "row_indices")
    v = norch.as_tensor(values, dtype=dtype, device=device)
    parts = []
    for given in (compressed_indices, plain_indices):
        t = norch.as_tensor(given, **({} if len(given) else {"dtype": norch.int64})).to(v.device)
        parts.append(t)
    starts, others = parts
    _holds(
        starts.dim() == others.dim(),
        f"{start} and {other} dimensionalities must be equal but got {starts.dim()} and {others.dim()}, respectively",
    )
    if starts.dim() != 1 or v.dim() != 1:
        unsupported(f"{layout} of batches and of dense dims")
    _holds(
        starts.dtype == others.dtype,
        f"{start} and {other} must have the same dtype, but got {starts.dtype} and {others.dtype}, respectively",
    )
    _holds(starts.dtype in (norch.int32, norch.int64), f"{start} and {other} must be an int32 or int64 type, but got: {starts.dtype}")
    if size is None:
        _holds(starts.numel() > 0, f"{start} needs at least one element")
        ends = (starts.numel() - 1, int(others.max()) + 1 if others.numel() else 0)
        size = ends if by_rows else ends[::-1]
    size = tuple(size)
    _holds(
        len(size) == 2,
        f"tensor dimensionality must be sum of batch, base, and dense dimensionalities (=0 + 2 + 0) but got {len(size)}",
    )
    of, across = ("rows", "ncols") if by_rows else ("columns", "nrows")
    _check(starts, others, v, size, (start, other, of, across))
    if requires_grad:
        v = v.detach().requires_grad_()
    elif v.requires_grad:
        v = v.view_as(v)  # a result of the values, not they themselves
    return CompressedTensor(starts, others, v, size, layout)


def sparse_csr_tensor(
    crow_indices: Any, col_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, **options: Any
) -> Tensor:
    """sparse_csr_tensor(crow_indices, col_indices, values, size=None, *, dtype=None, device=None, requires_grad=False)

    A matrix of layout norch.sparse_csr. crow_indices [rows + 1]: where the values of each row begin; col_indices [nnz]:
    their columns, rising in each row; values [nnz], which gradients reach. RuntimeError where these contradict each other.

    >>> norch.sparse_csr_tensor([0, 1, 3], [2, 0, 1], [1.0, 2.0, 3.0], (2, 3)).to_dense()
    tensor([[0., 0., 1.],
            [2., 3., 0.]])
    """
    options.pop("layout", None)
    return sparse_compressed_tensor(crow_indices, col_indices, values, size, dtype=dtype, layout=sparse_csr, **options)


def sparse_csc_tensor(
    ccol_indices: Any, row_indices: Any, values: Any, size: Any = None, *, dtype: Any = None, **options: Any
) -> Tensor:
    """As sparse_csr_tensor, with rows and columns exchanged: layout norch.sparse_csc."""
    options.pop("layout", None)
    return sparse_compressed_tensor(ccol_indices, row_indices, values, size, dtype=dtype, layout=sparse_csc, **options)
