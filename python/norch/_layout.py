"""How a tensor's elements are stored: norch.strided, norch.sparse_coo, ...; and what dense tensors have of it."""

from __future__ import annotations

from typing import Any

from norch import _C
from norch._C import Tensor

__all__ = ["layout", "sparse_bsc", "sparse_bsr", "sparse_coo", "sparse_csc", "sparse_csr", "strided"]


class layout:
    """The type of norch.strided (elements in memory at a stride), norch.sparse_coo (coordinates and values),
    norch.sparse_csr and norch.sparse_csc (compressed rows or columns); norch.sparse_bsr and norch.sparse_bsc are names
    only."""

    def __init__(self, name: str, written: str) -> None:
        self._name = name
        self._written = written  # as error messages have it
        if name != "strided":
            self._sparse_layout = True

    def __repr__(self) -> str:
        return f"{_C._package_name()}.{self._name}"

    def __reduce__(self) -> str:
        return self._name


layout.__module__ = "norch"
strided = layout("strided", "Strided")
sparse_coo = layout("sparse_coo", "Sparse")
sparse_csr = layout("sparse_csr", "SparseCsr")
sparse_csc = layout("sparse_csc", "SparseCsc")
sparse_bsr = layout("sparse_bsr", "SparseBsr")
sparse_bsc = layout("sparse_bsc", "SparseBsc")


def _to_sparse(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
    """to_sparse(sparse_dim=None, *, layout=None, blocksize=None, dense_dim=None) -> Tensor

    A sparse tensor of the elements that are not zero, or, with sparse_dim < dim(), of the rows over the last
    dims that hold such; with `layout` norch.sparse_csr or sparse_csc a matrix of compressed rows or columns.
    Gradients reach this tensor at those places. NotImplementedError for other layouts."""
    from norch.sparse import to_sparse

    return to_sparse(self, *args, **kwargs)


def _to_layout(name: str) -> Any:
    def method(self: Tensor, blocksize: Any = None, *, dense_dim: int | None = None) -> Tensor:
        from norch.sparse import to_sparse

        return to_sparse(self, layout=globals()[name], blocksize=blocksize, dense_dim=dense_dim)

    method.__doc__ = f"to_{name}() -> Tensor\n\nto_sparse(layout=norch.{name})."
    return method


def _sparse_mask(self: Tensor, mask: Tensor) -> Tensor:
    """sparse_mask(mask) -> Tensor

    The sparse tensor of this tensor's values at the coordinates of the sparse tensor `mask`."""
    from norch.sparse import sparse_mask

    return sparse_mask(self, mask)


def _to_dense(self: Tensor, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
    """to_dense(dtype=None, *, masked_grad=None) -> Tensor

    This tensor, which is dense; of a sparse one the dense form."""
    return self if dtype is None else self.to(dtype)


def _sparse_only(name: str, kind: str = "coordinate") -> Any:
    def method(self: Tensor) -> Any:
        raise RuntimeError(f"{name} expected sparse {kind} tensor layout but got {self.layout._written}")

    method.__doc__ = f"{name}() of a sparse tensor, see norch.sparse; RuntimeError for this dense one."
    return method


for _name, _value in {
    "layout": property(lambda self: strided, doc="norch.strided, or norch.sparse_coo (sparse_csr, sparse_csc) of a sparse tensor."),
    "is_sparse": property(lambda self: False, doc="Whether the layout is norch.sparse_coo."),
    "is_sparse_csr": property(lambda self: False, doc="Whether the layout is norch.sparse_csr."),
    "to_sparse": _to_sparse,
    "sparse_mask": _sparse_mask,
    "to_dense": _to_dense,
    **{
        name: _sparse_only(name)
        for name in "coalesce is_coalesced indices values _indices _values _nnz sparse_dim dense_dim".split()
    },
    **{name: _sparse_only(name, "row compressed") for name in ("crow_indices", "col_indices")},
    **{name: _sparse_only(name, "column compressed") for name in ("ccol_indices", "row_indices")},
    **{f"to_{name}": _to_layout(name) for name in ("sparse_coo", "sparse_csr", "sparse_csc", "sparse_bsr", "sparse_bsc")},
}.items():
    if not hasattr(Tensor, _name):
        setattr(Tensor, _name, _value)
