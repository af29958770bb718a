"""torch._utils, as far as programs use it: several tensors in one."""

from __future__ import annotations

from typing import Any, Iterable

import norch
from norch import Tensor

__all__ = ["_flatten_dense_tensors", "_take_tensors", "_unflatten_dense_tensors"]


def _flatten_dense_tensors(tensors: Iterable[Tensor]) -> Tensor:
    """The elements of all tensors, one after the other, in one dim.

    >>> norch._utils._flatten_dense_tensors([norch.ones(2), norch.zeros(1, 1)])
    tensor([1., 1., 0.])
    """
    return norch.cat([t.contiguous().view(-1) for t in tensors])


def _unflatten_dense_tensors(flat: Tensor, tensors: Iterable[Tensor]) -> tuple[Tensor, ...]:
    """The inverse of _flatten_dense_tensors: views of `flat` with the shapes of `tensors`."""
    out, start = [], 0
    for t in tensors:
        out.append(flat.narrow(0, start, t.numel()).view_as(t))
        start += t.numel()
    return tuple(out)


def _take_tensors(tensors: Iterable[Tensor], size_limit: int) -> Iterable[list[Tensor]]:
    """The tensors in lists of one dtype, each of at most `size_limit` bytes, or of one larger tensor."""
    lists: dict[Any, tuple[list[Tensor], int]] = {}
    for t in tensors:
        size = t.numel() * t.element_size()
        taken, total = lists.get(t.dtype, ([], 0))
        if taken and total + size > size_limit:
            yield taken
            taken, total = [], 0
        lists[t.dtype] = (taken + [t], total + size)
    for taken, _ in lists.values():
        yield taken
