"""Modules as functions of their parameters, as functorch had them before `norch.func.functional_call`."""

from __future__ import annotations

import copy
from typing import Any, Sequence

import norch
from norch._C import Tensor
from norch.nn.modules.module import Module
from norch.nn.utils.stateless import call

__all__ = [
    "FunctionalModule",
    "FunctionalModuleWithBuffers",
    "combine_state_for_ensemble",
    "make_functional",
    "make_functional_with_buffers",
]

_Tensors = tuple[Tensor, ...]


class FunctionalModule(Module):
    """A module without parameters of its own: `f(params, *args)`."""

    def __init__(self, stateless_model: Module) -> None:
        super().__init__()
        self.__dict__["stateless_model"] = stateless_model  # not a submodule: its parameters are arguments
        self.param_names = tuple(name for name, _ in stateless_model.named_parameters())

    def forward(self, params: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """What the model gives with these parameters."""
        return call(self.stateless_model, dict(zip(self.param_names, params)), args, kwargs)


class FunctionalModuleWithBuffers(FunctionalModule):
    """A module without parameters and buffers of its own: `f(params, buffers, *args)`."""

    def __init__(self, stateless_model: Module) -> None:
        super().__init__(stateless_model)
        self.buffer_names = tuple(name for name, _ in stateless_model.named_buffers())

    def forward(self, params: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any) -> Any:  # type: ignore[override]
        """What the model gives with these parameters and buffers."""
        state = dict(zip(self.param_names + self.buffer_names, (*params, *buffers)))
        return call(self.stateless_model, state, args, kwargs)


def _copied(model: Module, disable_autograd_tracking: bool) -> tuple[Module, _Tensors]:
    """(a copy, its parameters)."""
    model = copy.deepcopy(model)
    params = tuple(model.parameters())
    if disable_autograd_tracking:
        for p in params:
            p.requires_grad_(False)
    return model, params


def make_functional(model: Module, disable_autograd_tracking: bool = False) -> tuple[FunctionalModule, _Tensors]:
    """(f, params): `f(params, *args)` is what a copy of the model gives with these parameters. RuntimeError for models with
    buffers.

        >>> from norch._functorch.make_functional import make_functional
        >>> f, params = make_functional(norch.nn.Linear(2, 1))
        >>> f((norch.ones(1, 2), norch.zeros(1)), norch.ones(2))
        tensor([2.])"""
    if any(True for _ in model.buffers()):
        raise RuntimeError(
            "make_functional(model): `model` has buffers. Please use make_functional_with_buffers(model) instead."
        )
    model, params = _copied(model, disable_autograd_tracking)
    return FunctionalModule(model), params


def make_functional_with_buffers(
    model: Module, disable_autograd_tracking: bool = False
) -> tuple[FunctionalModuleWithBuffers, _Tensors, _Tensors]:
    """(f, params, buffers): `f(params, buffers, *args)` is what a copy of the model gives with these."""
    model, params = _copied(model, disable_autograd_tracking)
    return FunctionalModuleWithBuffers(model), params, tuple(model.buffers())


def combine_state_for_ensemble(
    models: Sequence[Module],
) -> tuple[FunctionalModuleWithBuffers, _Tensors, _Tensors]:
    """(f, params, buffers) of several models of one kind, whose parameters and buffers are stacked along a new first dim:
    what `vmap(f)` runs as an ensemble. See :func:`norch.func.stack_module_state`."""
    if len(models) == 0:
        raise RuntimeError("combine_state_for_ensemble: Expected at least one model, got 0.")
    if not (all(m.training for m in models) or all(not m.training for m in models)):
        raise RuntimeError("combine_state_for_ensemble: Expected all models to have the same training/eval mode.")
    if not all(type(m) is type(models[0]) for m in models):
        raise RuntimeError("combine_state_for_ensemble: Expected all models to be of the same class.")
    functions, params, buffers = zip(*[make_functional_with_buffers(m) for m in models])

    def stacked(parts: Sequence[_Tensors]) -> _Tensors:
        return tuple(norch.stack(column).detach() for column in zip(*parts))

    return functions[0], stacked(params), stacked(buffers)
