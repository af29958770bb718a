"""Functions of functions, as in PyTorch's `torch.func`: derivatives, vmap, and modules as functions of their parameters."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import norch
from norch.func._derivatives import grad, grad_and_value, hessian, jacfwd, jacrev, jvp, linearize, vjp
from norch.func._vmap import vmap
from norch.nn.modules.module import Module
from norch.nn.utils.stateless import call as _call

__all__ = [
    "functional_call",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "vjp",
    "vmap",
]


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


def stack_module_state(models: Sequence[Module]) -> tuple[dict[str, Any], dict[str, Any]]:
    """(parameters, buffers) of several models of one kind, by name, each stacked along a new first dim: what `vmap` of
    `functional_call` runs them as an ensemble with. The parameters are leaves that require grad where the models' do.

        >>> parameters, buffers = norch.func.stack_module_state([norch.nn.Linear(2, 1) for _ in range(3)])
        >>> parameters["weight"].shape
        norch.Size([3, 1, 2])
    """
    if not models:
        raise RuntimeError("stack_module_state: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("stack_module_state: Expected all models to have the same training/eval mode.")
    if any(type(m) is not type(models[0]) for m in models):
        raise RuntimeError("stack_module_state: Expected all models to be of the same class.")

    def stacked(parts: list[dict[str, Any]]) -> dict[str, Any]:
        result = {}
        for name, first in parts[0].items():
            column = [part[name] for part in parts]
            if any(t.requires_grad != first.requires_grad for t in column):
                raise RuntimeError(f"Expected {name} from each model to have the same .requires_grad")
            result[name] = norch.stack([t.detach() for t in column]).requires_grad_(first.requires_grad)
        return result

    return stacked([dict(m.named_parameters()) for m in models]), stacked([dict(m.named_buffers()) for m in models])


def replace_all_batch_norm_modules_(root: Module) -> Module:
    """Makes every batch norm below `root` use the batch's own statistics, without running ones, and returns `root`: those
    would be written to in functions that vmap or derivatives run.

        >>> norch.func.replace_all_batch_norm_modules_(norch.nn.BatchNorm1d(2)).running_mean is None
        True
    """
    for module in root.modules():
        if isinstance(module, norch.nn.modules.batchnorm._BatchNorm):
            module.running_mean = module.running_var = module.num_batches_tracked = None
            module.track_running_stats = False
    return root
