"""Operators of PyTorch's `aten` that no function of norch has the name of: `norch.ops.aten.slice(x, 0, 1, 3)`."""

from __future__ import annotations

from typing import Any, Sequence

import norch
from norch._C import Tensor

_ALL = slice(None)


def _to_copy(
    self: Tensor,
    *,
    dtype: Any = None,
    layout: Any = None,
    device: Any = None,
    pin_memory: bool | None = None,
    non_blocking: bool = False,
    memory_format: Any = None,
) -> Tensor:
    """A copy, of another dtype and on another device where one is given."""
    return self.to(device or self.device, dtype or self.dtype, non_blocking, copy=True)


def _pin_memory(self: Tensor, device: Any = None) -> Tensor:
    return self.pin_memory()


def _unsafe_view(self: Tensor, size: Sequence[int]) -> Tensor:
    return self.reshape(size)


def alias(self: Tensor) -> Tensor:
    """A view of the whole tensor."""
    return self.view_as(self)


lift_fresh = alias


def copy(self: Tensor, src: Tensor, non_blocking: bool = False) -> Tensor:
    """`src` in the shape, dtype and place of `self`, which stays as it is."""
    return norch.empty_like(self).copy_(src, non_blocking)


def index(self: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """self[indices], where None takes all of a dim."""
    return self[tuple(_ALL if i is None else i for i in indices)]


def _slice(self: Tensor, dim: int = 0, start: int | None = None, end: int | None = None, step: int = 1) -> Tensor:
    """self[start:end:step] of one dim."""
    before = [_ALL] * (dim % self.dim())
    return self[(*before, slice(start, end, step))]


def _local_scalar_dense(self: Tensor) -> Any:
    return self.item()


def _softmax(self: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return norch.softmax(self, dim, norch.float32 if half_to_float else None)


def _log_softmax(self: Tensor, dim: int, half_to_float: bool) -> Tensor:
    return norch.log_softmax(self, dim, norch.float32 if half_to_float else None)


def _sparse_addmm(self: Tensor, sparse: Tensor, dense: Tensor, *, beta: float = 1, alpha: float = 1) -> Tensor:
    return norch.sparse.addmm(self, sparse, dense, beta=beta, alpha=alpha)


def tanh_backward(grad_output: Tensor, output: Tensor) -> Tensor:
    return grad_output * (1 - output * output)


def sigmoid_backward(grad_output: Tensor, output: Tensor) -> Tensor:
    return grad_output * output * (1 - output)


def threshold_backward(grad_output: Tensor, self: Tensor, threshold: float) -> Tensor:
    return norch.where(self <= threshold, 0, grad_output)


def find(name: str) -> Any:
    """The operator of this name, None where this module has none."""
    found = globals().get("_slice" if name == "slice" else name)
    return found if callable(found) and getattr(found, "__module__", "") == find.__module__ and found is not find else None
