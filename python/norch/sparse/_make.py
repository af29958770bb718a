"""Making sparse tensors: from coordinates and values, from dense tensors, by the types of old."""

from __future__ import annotations

from typing import Any

import norch
from norch import _C
from norch._C import Tensor
from norch._layout import sparse_coo, strided
from norch._legacy import NAMES

from ._base import unsupported
from ._compressed import compress
from ._tensor import SparseTensor

__all__ = ["TYPES", "sparse_coo_tensor", "to_sparse"]


def sparse_coo_tensor(
    indices: Any,
    values: Any = None,
    size: Any = None,
    *,
    dtype: Any = None,
    device: Any = None,
    pin_memory: bool = False,
    requires_grad: bool = False,
    check_invariants: bool | None = None,
    is_coalesced: bool | None = None,
) -> Tensor:
    """A sparse tensor with `values[i]` at `indices[:, i]`, and zeros elsewhere; sparse_coo_tensor(size) has none.

    indices: integers [sparse_dim, nnz], in any order; what a place has several values of, it is the sum of.
    values: [nnz, ...]; gradients reach them. size: by default the smallest that holds the indices. On the CPU
    indices outside of `size` raise RuntimeError here, on the GPU IndexError where they are used.

    >>> norch.sparse_coo_tensor([[0, 1], [2, 0]], [3.0, 4.0], (2, 3)).to_dense()
    tensor([[0., 0., 3.],
            [4., 0., 0.]])
    """
    if values is None:
        size = tuple(indices)
        indices, values = norch.empty(len(size), 0, dtype=norch.int64), norch.empty(0)
        is_coalesced = True
    v = norch.as_tensor(values, dtype=dtype, device=device)
    v = v.reshape(1) if v.dim() == 0 else v
    i = norch.as_tensor(indices).to(v.device, norch.int64)
    if i.dim() != 2:
        raise RuntimeError(f"indices must be sparse_dim x nnz, but got: {tuple(i.shape)}")
    if i.shape[1] != v.shape[0]:
        raise RuntimeError(
            f"indices and values must have same nnz, but got nnz from indices: {i.shape[1]}, nnz from values: {v.shape[0]}"
        )
    sparse_dim, dense = i.shape[0], tuple(v.shape[1:])
    looked_at = i.numel() > 0 and (i.is_cpu or size is None)
    low = i.min().item() if looked_at else 0
    if low < 0:
        raise RuntimeError(f"found negative index {low}: the indices of a sparse tensor start at 0")
    high = [n + 1 for n in i.amax(1).tolist()] if looked_at else [0] * sparse_dim
    size = (*high, *dense) if size is None else tuple(size)
    if len(size) != sparse_dim + len(dense):
        raise RuntimeError(
            "'len(size) == sparse_dim + dense_dim' is not satisfied: "
            f"len(size) = {len(size)}, sparse_dim = {sparse_dim}, dense_dim = {len(dense)}"
        )
    for d, (n, needed) in enumerate(zip(size, high)):
        if n < needed:
            raise RuntimeError(f"size is inconsistent with indices: for dim {d}, size is {n} but found index {needed - 1}")
    if size[sparse_dim:] != dense:
        raise RuntimeError(f"values has incorrect size, expected {[len(v), *size[sparse_dim:]]}, got {list(v.shape)}")
    if requires_grad:
        v = v.detach().requires_grad_()
    elif v.requires_grad:
        v = v.view_as(v)  # a result of the values, not they themselves
    return SparseTensor(i, v, size, bool(is_coalesced))


def to_sparse(
    input: Tensor, sparse_dim: int | None = None, *, layout: Any = None, blocksize: Any = None, dense_dim: int | None = None
) -> Any:
    """Tensor.to_sparse: a sparse tensor of the elements, or of the rows over the last dims, that are not zero."""
    if layout is strided:
        return input
    if blocksize is not None:
        unsupported(f"to_sparse(layout={layout}, blocksize={blocksize})")
    if layout not in (None, sparse_coo):
        return compress(to_sparse(input, dense_dim=dense_dim), layout)
    n = sparse_dim if sparse_dim is not None else input.dim() - (dense_dim or 0)
    if not 0 <= n <= input.dim():
        raise RuntimeError(f"dense_to_sparse: sparse_dim argument must be in [0,{input.dim()}] range, but {n} is given")
    if n == 0 < input.dim():
        raise RuntimeError("dense_to_sparse: sparse_dim argument must be in >0 when self.dim()>0")
    held = input.detach() != 0
    if n < input.dim():
        held = held.flatten(n).any(n)
    indices = held.nonzero().t().contiguous()
    return SparseTensor(indices, input[tuple(indices)] if n else input.reshape(1)[: indices.shape[1]], input.shape, True)


class _SparseType(type):
    """The class of norch.sparse.FloatTensor and its like."""

    _dtype: Any

    def __instancecheck__(cls, instance: Any) -> bool:
        return type(instance) is SparseTensor and instance.dtype == cls._dtype

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        return _C._package_name() + ".sparse"

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        """(indices, values[, size]), or (sizes), or (size, size, ...)."""
        if args and isinstance(args[0], Tensor):
            if len(args) < 2 or not isinstance(args[1], Tensor) or args[1].dtype != cls._dtype:
                raise TypeError(f"{cls.__module__}.{cls.__name__}: expected indices and values, a tensor of {cls._dtype}")
            return sparse_coo_tensor(*args, device=device)
        sizes = args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args
        return sparse_coo_tensor(tuple(sizes) or (0,), dtype=cls._dtype, device=device)


_NAMES = ["Byte", "Char", "Short", "Int", "Long", "Half", "BFloat16", "Float", "Double"]
TYPES = {
    name: _SparseType(
        name, (), {"_dtype": dtype, "__doc__": f"Sparse tensors of {dtype}: makes them, and isinstance() knows them."}
    )
    for dtype, name in NAMES.items()
    if name.removesuffix("Tensor") in _NAMES
}
ByteTensor = TYPES["ByteTensor"]
CharTensor = TYPES["CharTensor"]
ShortTensor = TYPES["ShortTensor"]
IntTensor = TYPES["IntTensor"]
LongTensor = TYPES["LongTensor"]
HalfTensor = TYPES["HalfTensor"]
BFloat16Tensor = TYPES["BFloat16Tensor"]
FloatTensor = TYPES["FloatTensor"]
DoubleTensor = TYPES["DoubleTensor"]
