"""Collectives that return their results, with gradients. With one process each is a copy."""

from __future__ import annotations

from typing import Any, Sequence

from norch import Tensor, distributed

__all__ = ["all_gather", "all_reduce", "all_to_all", "broadcast", "gather", "reduce", "reduce_scatter", "scatter"]


def _copy(what: str, tensor: Tensor) -> Tensor:
    distributed._need_group(what)
    return tensor.clone()


def broadcast(tensor: Tensor, src: int, group: Any = None) -> Tensor:
    """A copy of the tensor."""
    return _copy("broadcast", tensor)


def gather(tensor: Tensor, dst: int = 0, group: Any = None) -> tuple[Tensor, ...]:
    """(a copy of the tensor,)."""
    return (_copy("gather", tensor),)


def all_gather(tensor: Tensor, group: Any = None) -> tuple[Tensor, ...]:
    """(a copy of the tensor,)."""
    return (_copy("all_gather", tensor),)


def scatter(tensors: Sequence[Tensor], src: int = 0, group: Any = None) -> Tensor:
    """A copy of the one tensor."""
    return _copy("scatter", tensors[0])


def reduce(tensor: Tensor, dst: int, op: Any = None, group: Any = None) -> Tensor:
    """A copy of the tensor."""
    return _copy("reduce", tensor)


def all_reduce(tensor: Tensor, op: Any = None, group: Any = None) -> Tensor:
    """A copy of the tensor."""
    return _copy("all_reduce", tensor)


def reduce_scatter(output: Tensor, input_list: Sequence[Tensor], op: Any = None, group: Any = None) -> Tensor:
    """A copy of the one tensor."""
    return _copy("reduce_scatter", input_list[0])


def all_to_all(output_tensor_list: Sequence[Tensor], input_tensor_list: Sequence[Tensor], group: Any = None) -> tuple[Tensor, ...]:
    """Copies of the tensors."""
    return tuple(_copy("all_to_all", t) for t in input_tensor_list)
