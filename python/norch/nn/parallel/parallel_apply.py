"""Running several modules at once."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any, Sequence

import norch
from norch import Tensor

from ..modules.module import Module
from ._functions import device_of

__all__ = ["get_a_var", "parallel_apply"]


def get_a_var(obj: Any) -> Any:
    """The first tensor in nested lists, tuples and dicts; None where there is none."""
    if isinstance(obj, Tensor):
        return obj
    if isinstance(obj, dict):
        obj = tuple(obj.items())
    if isinstance(obj, (list, tuple)):
        for part in obj:
            found = get_a_var(part)
            if found is not None:
                return found
    return None


def parallel_apply(
    modules: Sequence[Module],
    inputs: Sequence[Any],
    kwargs_tup: Sequence[dict[str, Any] | None] | None = None,
    devices: Sequence[Any] | None = None,
) -> list:
    """modules[i](*inputs[i], **kwargs_tup[i]) for every i, each in a thread of its own. An exception of one is raised.

        >>> nets = [norch.nn.Flatten(0), norch.nn.Flatten(0)]
        >>> norch.nn.parallel.parallel_apply(nets, [norch.ones(1, 2), norch.zeros(1, 2)])
        [tensor([1., 1.]), tensor([0., 0.])]"""
    if len(modules) != len(inputs):
        raise AssertionError(f"The number of modules {len(modules)} is not equal to the number of inputs {len(inputs)}")
    named = [k or {} for k in kwargs_tup] if kwargs_tup is not None else [{} for _ in modules]
    places = [None if d is None else device_of(d) for d in devices] if devices is not None else [None] * len(modules)
    grad = norch.is_grad_enabled()

    def run(module: Module, given: Any, keywords: dict[str, Any], device: Any) -> Any:
        arguments = tuple(given) if isinstance(given, (list, tuple)) else (given,)
        with norch.set_grad_enabled(grad):
            if device is None or device.type != "cuda":
                return module(*arguments, **keywords)
            with norch.cuda.device(device):
                return module(*arguments, **keywords)

    if len(modules) == 1:
        return [run(modules[0], inputs[0], named[0], places[0])]
    with ThreadPoolExecutor(max(len(modules), 1)) as pool:
        return list(pool.map(run, modules, inputs, named, places))
