"""Modules as pure functions of their parameters, as in PyTorch's `torch.func`."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from norch.nn.modules.module import Module
from norch.nn.utils.stateless import call as _call

__all__ = ["functional_call"]


def functional_call(
    module: Module,
    parameter_and_buffer_dicts: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """`module(*args, **kwargs)` with the tensors of a dict (or of several dicts) in place of its parameters and buffers,
    by dotted name. The others stay; with `strict`, RuntimeError where names are missing or unexpected. A tensor that the
    module has under several names is replaced under all, unless `tie_weights` is False.

        >>> layer = norch.nn.Linear(2, 1)
        >>> norch.func.functional_call(layer, {"weight": norch.ones(1, 2), "bias": norch.ones(1)}, norch.ones(2)).item()
        3.0
    """
    dicts = parameter_and_buffer_dicts
    if isinstance(dicts, dict):
        tensors = dicts
    elif isinstance(dicts, Sequence):
        if not all(isinstance(d, dict) for d in dicts):
            raise ValueError("Expected all elements of parameter_and_buffer_dicts to be dictionaries")
        names = [name for d in dicts for name in d]
        twice = sorted({name for name in names if names.count(name) > 1})
        if twice:
            raise ValueError(f"{twice} appeared in multiple dictionaries; behavior of functional call is ambiguous")
        tensors = {name: tensor for d in dicts for name, tensor in d.items()}
    else:
        raise ValueError(
            f"Expected parameter_and_buffer_dicts to be a dict, or a list/tuple of dicts, but got {type(dicts)}"
        )
    return _call(module, tensors, args, kwargs, tie_weights=tie_weights, strict=strict)
