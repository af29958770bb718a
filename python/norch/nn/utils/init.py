"""Modules whose initial values do not matter."""

from __future__ import annotations

import inspect
from typing import Any

import norch

from ..modules.module import Module

__all__ = ["skip_init"]


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """An instance of `module_cls` whose parameters' values say nothing, made without advancing the random numbers. The
    class must take `device`.

        >>> norch.nn.utils.skip_init(norch.nn.Linear, 5, 1)
        Linear(in_features=5, out_features=1, bias=True)
    """
    if not (isinstance(module_cls, type) and issubclass(module_cls, Module)):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    device = kwargs.pop("device", "cpu")
    state = norch.get_rng_state()
    try:
        module = module_cls(*args, device=device, **kwargs)
    finally:
        norch.set_rng_state(state)
    return module
