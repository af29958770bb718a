"""Automatic differentiation: backward, grad, modes, custom functions, checks."""

import importlib as _importlib
import sys as _sys
import warnings
from typing import TYPE_CHECKING, Any

from norch._C import Tensor, _autograd, stack
from norch.autograd.anomaly_mode import detect_anomaly, set_detect_anomaly
from norch.autograd.function import Function, FunctionCtx, once_differentiable
from norch.autograd.grad_mode import (
    enable_grad,
    inference_mode,
    is_grad_enabled,
    is_inference_mode_enabled,
    no_grad,
    set_grad_enabled,
    set_multithreading_enabled,
)
from norch.autograd.gradcheck import GradcheckError, gradcheck, gradgradcheck
from norch.autograd.variable import Variable

if TYPE_CHECKING:
    from norch.autograd import functional as functional
    from norch.autograd import graph as graph
    from norch.autograd import profiler as profiler
    from norch.autograd import profiler_util as profiler_util

__all__ = [
    "Function",
    "FunctionCtx",
    "GradcheckError",
    "Variable",
    "backward",
    "detect_anomaly",
    "enable_grad",
    "grad",
    "gradcheck",
    "gradgradcheck",
    "inference_mode",
    "is_grad_enabled",
    "is_inference_mode_enabled",
    "no_grad",
    "once_differentiable",
    "set_detect_anomaly",
    "set_grad_enabled",
    "set_multithreading_enabled",
]


def backward(
    tensors: Any,
    grad_tensors: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Any = None,
) -> None:
    """Accumulates into `.grad` of the leaves (or of `inputs` only) the gradient of the sum of tensors * grad_tensors; a
    missing grad_tensor stands for 1 and needs a one-element tensor. `grad_variables` is an old name of grad_tensors."""
    if grad_variables is not None:
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to `backward()`. Please only use "
                "`grad_tensors`."
            )
        warnings.warn("`grad_variables` is deprecated. Use `grad_tensors` instead.", FutureWarning, stacklevel=2)
        grad_tensors = grad_variables
    if "norch.autograd.graph" in _sys.modules:  # else there are no edges
        from norch.autograd.graph import as_tensors

        tensors, inputs = as_tensors(tensors), as_tensors(inputs)
    _autograd.backward(tensors, grad_tensors, retain_graph, create_graph, inputs)


def grad(
    outputs: Any,
    inputs: Any,
    grad_outputs: Any = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Any, ...]:
    """The gradients of the sum of outputs * grad_outputs by `inputs`, without touching `.grad`.

    is_grads_batched: each of grad_outputs has one dim more, in front, and so have the results: one gradient for each of
    its entries. An input that no output depends on raises RuntimeError; with allow_unused its gradient is None, with
    materialize_grads zeros. `only_inputs` is accepted, and always true.

        >>> x = norch.ones(2, requires_grad=True)
        >>> norch.autograd.grad((x * x).sum(), x)
        (tensor([2., 2.]),)"""
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To accumulate gradient for other "
            "parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )

    if "norch.autograd.graph" in _sys.modules:
        from norch.autograd.graph import as_tensors

        outputs, inputs = as_tensors(outputs), as_tensors(inputs)

    def run(grads: Any, keep: bool | None) -> tuple:
        return tuple(_autograd.grad(outputs, inputs, grads, keep, create_graph, allow_unused, materialize_grads))

    if not is_grads_batched:
        return run(grad_outputs, retain_graph)
    batched = [grad_outputs] if isinstance(grad_outputs, Tensor) else list(grad_outputs or ())
    sizes = {g.shape[0] for g in batched if g is not None}
    if len(sizes) != 1:
        raise RuntimeError(f"grad: with is_grads_batched the grad_outputs need one common first dim, got sizes {sorted(sizes)}")
    count = sizes.pop()
    rows = [
        run([None if g is None else g[i] for g in batched], True if i + 1 < count else retain_graph) for i in range(count)
    ]
    return tuple(None if parts[0] is None else stack(parts) for parts in zip(*rows))


Node = _autograd.Node


def __getattr__(name: str) -> Any:
    if name in ("functional", "graph", "profiler", "profiler_util"):  # imported when first used
        return _importlib.import_module("norch.autograd." + name)
    raise AttributeError(f"module 'norch.autograd' has no attribute '{name}'")
