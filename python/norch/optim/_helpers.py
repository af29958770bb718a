"""What optimizers that were made from PyTorch's own sources import from torch.optim.optimizer."""

from __future__ import annotations

import functools
from typing import Any, Callable, Iterable, TypeAlias, Union

import norch
from norch import Tensor

__all__ = [
    "ParamsT",
    "StateDict",
    "_default_to_fused_or_foreach",
    "_dispatch_sqrt",
    "_get_value",
    "_group_tensors",
    "_stack_if_compiling",
    "_use_grad_for_differentiable",
    "_view_as_real",
]

ParamsT: TypeAlias = Union[Iterable[Tensor], Iterable[dict[str, Any]], Iterable[tuple[str, Tensor]]]
StateDict: TypeAlias = dict[str, Any]


def _use_grad_for_differentiable(step: Callable[..., Any]) -> Callable[..., Any]:
    """A `step` that records gradients where the optimizer's option `differentiable` says so, and no others."""

    @functools.wraps(step)
    def run(self: Any, *args: Any, **kwargs: Any) -> Any:
        with norch.set_grad_enabled(bool(self.defaults.get("differentiable", False))):
            return step(self, *args, **kwargs)

    return run


def _default_to_fused_or_foreach(params: Any, differentiable: bool, use_fused: bool = False) -> tuple[bool, bool]:
    """(fused, foreach) where the program leaves them open: neither."""
    return False, False


def _get_value(x: Any) -> Any:
    """A number, also of a tensor."""
    return x.item() if isinstance(x, Tensor) else x


def _stack_if_compiling(x: Any) -> Any:
    """x: nothing is compiled."""
    return x


def _dispatch_sqrt(x: Any) -> Any:
    """The square root of a number or of a tensor."""
    return x.sqrt() if isinstance(x, Tensor) else x**0.5


def _view_as_real(params: list[Tensor], *state_and_grads: list[Tensor]) -> None:
    """Puts the real view of complex parameters, and of what belongs to them, into the lists."""
    for i, p in enumerate(params):
        if norch.is_complex(p):
            params[i] = norch.view_as_real(p)
            for tensors in state_and_grads:
                tensors[i] = norch.view_as_real(tensors[i])


def _group_tensors(tensorlistlist: list[list[Any]], with_indices: bool = False) -> dict[Any, tuple[list[list[Any]], list[int]]]:
    """The lists, split by the device and dtype of the first list's tensors: {(device, dtype): (lists, indices)}."""
    groups: dict[Any, tuple[list[list[Any]], list[int]]] = {}
    for i, first in enumerate(tensorlistlist[0]):
        lists, indices = groups.setdefault((first.device, first.dtype), ([[] for _ in tensorlistlist], []))
        for mine, all_of_them in zip(lists, tensorlistlist):
            if all_of_them:
                mine.append(all_of_them[i])
        if with_indices:
            indices.append(i)
    return groups
