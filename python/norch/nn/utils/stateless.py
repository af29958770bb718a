"""Calling a module with other tensors in place of its parameters and buffers."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from norch._C import Tensor

from ..modules.module import Module

__all__ = ["functional_call"]


def _tensors(module: Module) -> dict[str, Tensor]:
    return {
        **dict(module.named_parameters(remove_duplicate=False)),
        **dict(module.named_buffers(remove_duplicate=False)),
    }


def _for_all_names(module: Module, given: dict[str, Tensor]) -> dict[str, Tensor]:
    """`given`, also under the other names of tensors that the module has under several."""
    names_of: dict[int, list[str]] = {}
    for name, tensor in _tensors(module).items():
        names_of.setdefault(id(tensor), []).append(name)
    result = dict(given)
    for names in names_of.values():
        values = {id(given[name]): given[name] for name in names if name in given}
        if len(values) > 1:
            raise ValueError(
                f"functional_call got multiple values for keys {sorted(names)}, which are tied. "
                "Consider using tie_weights=False"
            )
        for value in values.values():
            result.update(dict.fromkeys(names, value))
    return result


def _swap(module: Module, tensors: dict[str, Any]) -> dict[str, Any]:
    """Puts the tensors into the module. Returns those that were there."""
    old = {}
    for key, tensor in tensors.items():
        path, _, name = key.rpartition(".")
        owner = module.get_submodule(path)
        for registry in (owner._parameters, owner._buffers):
            if name in registry:
                old[key] = registry[name]
                registry[name] = tensor
                break
        else:
            raise KeyError(f"{key}: {owner._get_name()} has no parameter or buffer of that name")
    return old


@contextmanager
def _reparametrize_module(
    module: Module, parameters_and_buffers: dict[str, Tensor], tie_weights: bool = False, strict: bool = False
) -> Iterator[None]:
    """Inside, these tensors are the module's parameters and buffers of their names."""
    given = parameters_and_buffers
    tensors = _for_all_names(module, given) if tie_weights else given
    if strict:
        own = _tensors(module)
        unexpected = [repr(name) for name in tensors if name not in own]
        missing = [repr(name) for name in own if name not in tensors]
        errors = [f"Unexpected key(s): {', '.join(unexpected)}."] if unexpected else []
        errors += [f"Missing key(s): {', '.join(missing)}."] if missing else []
        if errors:
            raise RuntimeError(
                "Error(s) in reparametrizing for {}:\n\t{}".format(module._get_name(), "\n\t".join(errors))
            )
    known = {}
    for key, tensor in tensors.items():
        path, _, name = key.rpartition(".")
        owner = module.get_submodule(path)
        if name in owner._parameters or name in owner._buffers:
            known[key] = tensor
    old = _swap(module, known)
    try:
        yield
    finally:
        new = _swap(module, old)
        given.update({key: new[key] for key in given if key in new})


def call(
    module: Module,
    parameters_and_buffers: Any,
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """What :func:`norch.func.functional_call` does."""
    args = () if args is None else args if isinstance(args, tuple) else (args,)
    with _reparametrize_module(module, parameters_and_buffers, tie_weights, strict):
        return module(*args, **(kwargs or {}))


def functional_call(
    module: Module,
    parameters_and_buffers: dict[str, Tensor],
    args: Any = None,
    kwargs: dict | None = None,
    *,
    tie_weights: bool = True,
    strict: bool = False,
) -> Any:
    """:func:`norch.func.functional_call`, by its old name."""
    warnings.warn(
        "`norch.nn.utils.stateless.functional_call` is deprecated. Please use `norch.func.functional_call` instead "
        "which is a drop-in replacement.",
        FutureWarning,
        stacklevel=2,
    )
    return call(module, parameters_and_buffers, args, kwargs, tie_weights=tie_weights, strict=strict)
