"""torch.distributed._functional_collectives: collectives that return their results: with one process, copies of
the input."""

from __future__ import annotations

from typing import Any

from . import _need_group

__all__ = ["all_gather_tensor", "all_reduce", "all_to_all_single", "broadcast", "reduce_scatter_tensor", "wait_tensor"]


def wait_tensor(tensor: Any) -> Any:
    """The tensor: results are there at once."""
    return tensor


def all_reduce(self: Any, reduceOp: str, group: Any, tag: str = "") -> Any:
    """A tensor like `self`: the reduction over one process."""
    _need_group("all_reduce")
    return self.clone()


def broadcast(self: Any, src: int, group: Any, tag: str = "") -> Any:
    """A tensor like `self`."""
    _need_group("broadcast")
    return self.clone()


def all_gather_tensor(self: Any, gather_dim: int, group: Any, tag: str = "") -> Any:
    """A tensor like `self`: what one process has along gather_dim."""
    _need_group("all_gather_tensor")
    return self.clone()


def reduce_scatter_tensor(self: Any, reduceOp: str, scatter_dim: int, group: Any, tag: str = "") -> Any:
    """A tensor like `self`."""
    _need_group("reduce_scatter_tensor")
    return self.clone()


def all_to_all_single(self: Any, output_split_sizes: Any, input_split_sizes: Any, group: Any, tag: str = "") -> Any:
    """A tensor like `self`."""
    _need_group("all_to_all_single")
    return self.clone()
