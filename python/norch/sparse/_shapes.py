"""Sparse tensors with their dims in another order or number, joined, and parts of them."""

from __future__ import annotations

from typing import Any

import norch
from norch._C import Tensor

from ._base import add_rows, unsupported
from ._tensor import SparseTensor

__all__ = [
    "cat", "getitem", "index_select", "narrow_copy", "pairs", "permute", "real_dim", "select", "stack", "t", "transpose",
    "unsqueeze",
]  # fmt: skip


def real_dim(d: int, n: int) -> int:
    """The dim d of n, which may count from the end. IndexError if there is none."""
    if not -n <= d < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return d % n


def pairs(keys: Tensor, others: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """All (i, j) with keys[i] == others[j], in the order of i, then of j; the values lie in 0 to n - 1."""
    count = add_rows(n, others, norch.ones_like(others))
    start, count = (count.cumsum(0) - count)[keys], count[keys]
    i = norch.repeat_interleave(norch.arange(keys.shape[0], device=keys.device), count)
    within = norch.arange(i.shape[0], device=keys.device) - (count.cumsum(0) - count)[i]
    return i, norch.argsort(others, stable=True)[start[i] + within]


def permute(input: Any, dims: Any, *more: int) -> Any:
    order = [real_dim(d, input.dim()) for d in ((dims, *more) if isinstance(dims, int) else dims)]
    n = input.sparse_dim()
    if sorted(order) != list(range(input.dim())):
        raise RuntimeError(f"permute: {order} is no order of the {input.dim()} dims")
    if sorted(order[:n]) != list(range(n)):
        unsupported("permute of sparse with dense dims")
    values = input._v.permute(0, *(d - n + 1 for d in order[n:]))
    size = [input.shape[d] for d in order]
    return SparseTensor(input._i[order[:n]], values, size, order == sorted(order) and input._coalesced)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    order = list(range(input.dim()))
    a, b = real_dim(dim0, input.dim()), real_dim(dim1, input.dim())
    order[a], order[b] = b, a
    return permute(input, order)


def t(input: Any) -> Any:
    if input.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.dim()}D")
    return transpose(input, 0, 1) if input.dim() == 2 else input


def unsqueeze(input: Any, dim: int) -> Any:
    d = real_dim(dim, input.dim() + 1)
    size = [*input.shape[:d], 1, *input.shape[d:]]
    n = input.sparse_dim()
    if d > n:
        return SparseTensor(input._i, input._v.unsqueeze(d - n + 1), size, input._coalesced)
    indices = norch.cat([input._i[:d], input._i.new_zeros(1, input._nnz()), input._i[d:]])
    return SparseTensor(indices, input._v, size, input._coalesced)


def cat(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    d = real_dim(dim, first.dim())
    if not all(type(p) is SparseTensor for p in tensors) or d >= first.sparse_dim():
        unsupported("cat of sparse with dense tensors, or along dense dims,")
    parts, start = [], 0
    for p in tensors:
        if any(a != b for i, (a, b) in enumerate(zip(p.shape, first.shape)) if i != d) or p.dim() != first.dim():
            raise RuntimeError(f"cat: sizes must match except in dimension {d}, but got {first.shape} and {p.shape}")
        offset = norch.zeros(p.sparse_dim(), 1, dtype=norch.int64, device=p.device)
        offset[d] = start
        parts.append(p._i + offset)
        start += p.shape[d]
    size = [*first.shape[:d], start, *first.shape[d + 1 :]]
    return SparseTensor(norch.cat(parts, 1), norch.cat([p._v for p in tensors]), size)


def stack(tensors: Any, dim: int = 0) -> Any:
    return cat([unsqueeze(p, dim) for p in tensors], dim)


def index_select(input: Any, dim: int, index: Tensor) -> Any:
    """Rows of a sparse dim: of each index, the entries that have it."""
    d = real_dim(dim, input.dim())
    if type(input) is not SparseTensor or d >= input.sparse_dim():
        unsupported("index_select along a dense dim")
    if index.numel() and not (-1 < index.min().item() <= index.max().item() < input.shape[d]):
        raise IndexError(f"index_select: an index lies outside of dim {d} of size {input.shape[d]}")
    to, entry = pairs(index.to(norch.int64), input._i[d], input.shape[d])
    indices = norch.cat([input._i[:d, entry], to.unsqueeze(0), input._i[d + 1 :, entry]])
    size = [*input.shape[:d], index.numel(), *input.shape[d + 1 :]]
    return SparseTensor(indices, input._v[entry], size)


def select(input: Any, dim: int, index: int) -> Any:
    """The part at `index` of a dim, which goes; dense if it was the only sparse dim."""
    d = real_dim(dim, input.dim())
    n = input.shape[d]
    if not -n <= index < n:
        raise IndexError(f"select(): index {index} out of range for tensor of size {list(input.shape)} at dimension {d}")
    first, size = input.sparse_dim(), [*input.shape[:d], *input.shape[d + 1 :]]
    if d >= first:
        return SparseTensor(input._i, input._v.select(d - first + 1, index), size, input._coalesced)
    kept = (input._i[d] == index % n).nonzero().squeeze(1)
    if first == 1:
        return input._v[kept].sum(0)
    indices = norch.cat([input._i[:d, kept], input._i[d + 1 :, kept]])
    return SparseTensor(indices, input._v[kept], size, input._coalesced)


def narrow_copy(input: Any, dim: int, start: int, length: int) -> Any:
    """`length` places of a dim from `start` on."""
    d, first = real_dim(dim, input.dim()), input.sparse_dim()
    n = input.shape[d]
    start = start + n if start < 0 else start
    if length < 0 or not 0 <= start <= n - length:
        raise RuntimeError(f"start ({start}) + length ({length}) exceeds dimension size ({n}).")
    size = [*input.shape[:d], length, *input.shape[d + 1 :]]
    if d >= first:
        return SparseTensor(input._i, input._v.narrow(d - first + 1, start, length), size, input._coalesced)
    kept = ((input._i[d] >= start) & (input._i[d] < start + length)).nonzero().squeeze(1)
    indices = input._i[:, kept]
    indices[d] -= start
    return SparseTensor(indices, input._v[kept], size, input._coalesced)


def getitem(input: Any, key: Any) -> Any:
    """Integers, None, and full slices."""
    keys = key if isinstance(key, tuple) else (key,)
    if Ellipsis in [k for k in keys if not isinstance(k, Tensor)]:
        at = keys.index(Ellipsis)
        room = input.dim() - len([k for k in keys if k is not None]) + 1
        keys = (*keys[:at], *[slice(None)] * room, *keys[at + 1 :])
    d = 0
    for k in keys:
        if isinstance(k, slice) and k == slice(None):
            d += 1
        elif k is None:
            input, d = input.unsqueeze(d), d + 1
        elif isinstance(k, bool) or not hasattr(k, "__index__") or isinstance(k, Tensor):
            unsupported("indexing with anything but integers, None and full slices")
        elif not isinstance(input, SparseTensor):  # the last sparse dim went
            input = input.select(d, int(k))
        elif not -input.shape[d] <= int(k) < input.shape[d]:
            raise IndexError(f"index {k} is out of bounds for dimension {d} with size {input.shape[d]}")
        else:
            input = select(input, d, int(k))
    return input
