"""Splitting nested inputs over devices, and joining what comes back."""

from __future__ import annotations

from typing import Any, Sequence

import norch

from ._functions import Gather, Scatter, device_of

__all__ = ["gather", "scatter", "scatter_kwargs"]


def scatter(inputs: Any, target_gpus: Sequence[Any], dim: int = 0) -> Any:
    """A list with one copy of the nested `inputs` for each device: tensors are cut along `dim` into chunks of about the
    same size (fewer devices get one where there are too few elements), everything else goes to each as it is.

        >>> from norch.nn.parallel import scatter
        >>> [a.tolist() for a, name in scatter((norch.arange(3), "x"), ["cpu", "cpu"])]
        [[0, 1], [2]]"""
    targets = [device_of(d) for d in target_gpus]

    def split(value: Any) -> list:
        if isinstance(value, norch.Tensor):
            return list(Scatter.apply(targets, None, dim, value))
        if isinstance(value, tuple) and hasattr(value, "_fields"):
            return [type(value)(*parts) for parts in zip(*map(split, value))]
        if isinstance(value, tuple) and value:
            return list(zip(*map(split, value)))
        if isinstance(value, list) and value:
            return [list(parts) for parts in zip(*map(split, value))]
        if isinstance(value, dict) and value:
            return [type(value)(parts) for parts in zip(*map(split, value.items()))]
        return [value for _ in targets]

    return split(inputs)


def scatter_kwargs(
    inputs: tuple, kwargs: dict[str, Any] | None, target_gpus: Sequence[Any], dim: int = 0
) -> tuple[tuple, tuple]:
    """(positional arguments, keyword arguments) for each device, as many of one as of the other."""
    spread = scatter(inputs, target_gpus, dim) if inputs else []
    named = scatter(kwargs, target_gpus, dim) if kwargs else []
    count = max(len(spread), len(named))
    spread += [()] * (count - len(spread))
    named += [{}] * (count - len(named))
    return tuple(spread), tuple(named)


def gather(outputs: Sequence[Any], target_device: Any, dim: int = 0) -> Any:
    """The inverse of scatter, on `target_device` ("cpu" or -1 is the CPU): tensors are joined along `dim` (0-d ones
    become a vector), containers keep their kind.

        >>> from norch.nn.parallel import gather
        >>> gather([norch.tensor([0, 1]), norch.tensor([2])], "cpu")
        tensor([0, 1, 2])"""
    first = outputs[0]
    if isinstance(first, norch.Tensor):
        return Gather.apply(target_device, dim, *outputs)
    if first is None:
        return None
    if isinstance(first, dict):
        if not all(len(first) == len(d) for d in outputs):
            raise ValueError("All dicts must have the same number of keys")
        return type(first)((k, gather([d[k] for d in outputs], target_device, dim)) for k in first)
    if hasattr(first, "_fields"):
        return type(first)(*(gather(parts, target_device, dim) for parts in zip(*outputs)))
    return type(first)(gather(parts, target_device, dim) for parts in zip(*outputs))
