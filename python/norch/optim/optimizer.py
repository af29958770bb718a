"""`Optimizer`: parameter groups, state, and what all optimizers share.

A step makes one call into C++ per parameter group. Python only gathers the tensors, and does so anew in
every step, so that groups and state may be edited at any time.
"""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import defaultdict
from typing import Any, Callable

from norch._C import Tensor, _optim, float32
from norch._C._profiler import on as _profiling
from norch._C._cuda import is_current_stream_capturing
from norch.autograd import enable_grad, no_grad
from norch.nn.modules._members import ParameterIterator

from ._helpers import ParamsT as ParamsT
from ._helpers import StateDict as StateDict
from ._helpers import _default_to_fused_or_foreach as _default_to_fused_or_foreach
from ._helpers import _dispatch_sqrt as _dispatch_sqrt
from ._helpers import _get_value as _get_value
from ._helpers import _group_tensors
from ._helpers import _stack_if_compiling as _stack_if_compiling
from ._helpers import _use_grad_for_differentiable as _use_grad_for_differentiable
from ._helpers import _view_as_real as _view_as_real
from ._hooks import OptimizerHooks, _marked
from ._hooks import register_optimizer_step_post_hook as register_optimizer_step_post_hook
from ._hooks import register_optimizer_step_pre_hook as register_optimizer_step_pre_hook

__all__ = [
    "Optimizer",
    "register_optimizer_step_post_hook",
    "register_optimizer_step_pre_hook",
    "required",
]


class _Required:
    def __repr__(self) -> str:
        return "<required parameter>"


required = _Required()


class _Holder:
    """The "module" of a tensor that was given to an optimizer without one: its attribute `tensor`."""

    def __init__(self, value: Tensor) -> None:
        self.__dict__["tensor"] = value

    def __setattr__(self, name: str, value: Any) -> None:
        param = self.__dict__["tensor"]
        if name != "tensor" or not isinstance(value, Tensor) or value.shape != param.shape:
            raise TypeError(f"cannot replace a parameter of shape {tuple(param.shape)} by {type(value).__name__}")
        with no_grad():
            param.copy_(value)


def wrap_step(optimizer: Optimizer, around: Callable) -> None:
    """Makes `optimizer.step(...)` call `around(optimizer, step, ...)`; makes no reference cycle, so that
    an optimizer that is dropped frees its state at once."""
    inner: Any = optimizer.step
    function = getattr(inner, "__func__", None)
    ref = weakref.ref(optimizer)

    def step(*args: Any, **kwargs: Any) -> Any:
        owner = ref()
        return around(owner, inner if function is None else functools.partial(function, owner), *args, **kwargs)

    if function is not None:
        inner = None  # a bound method would keep the optimizer alive
    optimizer.step = step  # type: ignore[method-assign]


class Optimizer(OptimizerHooks):
    """Base class of optimizers: `__init__(params, defaults)`, `step` in the subclass.

    params: an iterable of tensors, of (name, tensor), or of dicts with "params" and options of their own.
    defaults: the options of groups that don't set them; may be left out.
    `parameters` lists `(module, name, parameter)` in order: `setattr(module, name, value)` gives the
    parameter new values. Tensors that did not come from `Module.parameters()` get a holder as module.
    """

    # The entries of a parameter's state that are numbers (tensors without dims), not tensors like the parameter.
    _numbers: tuple[str, ...] = ("step",)

    def __init__(self, params: Any, defaults: dict[str, Any] | None = None) -> None:
        if isinstance(params, Tensor):
            raise TypeError(
                "params argument given to the optimizer should be an iterable of Tensors or dicts, but got Tensor"
            )
        self.defaults: dict[str, Any] = {} if defaults is None else defaults
        self.state: Any = defaultdict(dict)
        self.param_groups: list[dict[str, Any]] = []
        self.parameters: list[tuple[Any, str, Tensor]] = []
        self._make_hooks()
        groups: list[Any] = [params] if isinstance(params, ParameterIterator) else list(params)
        if not groups:
            raise ValueError("optimizer got an empty parameter list")
        if not isinstance(groups[0], dict):
            groups = [{"params": groups[0] if isinstance(groups[0], ParameterIterator) else groups}]
        for group in groups:
            self.add_param_group(group)

    _group_tensors_by_device_and_dtype = staticmethod(_group_tensors)

    def add_param_group(self, param_group: dict[str, Any]) -> None:
        """Adds a group: a dict with "params" and options; the missing ones come from the defaults."""
        if not isinstance(param_group, dict):
            raise TypeError(f"param_group must be a dict, but got {type(param_group)}")
        params = param_group["params"]
        if isinstance(params, set):
            raise TypeError(
                "optimizer parameters need to be organized in ordered collections, but the ordering of tensors "
                "in sets will change between runs. Please use a list instead."
            )
        triples, names = self._resolve(params)
        if not triples and isinstance(params, ParameterIterator) and not self.param_groups:
            raise ValueError("optimizer got an empty parameter list")
        for _, _, param in triples:
            if not self.defaults.get("differentiable") and not (param.is_leaf or getattr(param, "retains_grad", False)):
                raise ValueError("can't optimize a non-leaf Tensor")
        if any(bool(names) != ("param_names" in g) for g in self.param_groups):
            raise ValueError(
                "all optimizer param groups should be with/without names. cannot add param group "
                f"{'with' if names else 'without'} names to the optimizer"
            )
        group = param_group
        group["params"] = [p for _, _, p in triples]
        if names:
            group["param_names"] = names
        for name, default in self.defaults.items():
            if default is required and name not in group:
                raise ValueError(f"parameter group didn't specify a value of required optimization parameter {name}")
            group.setdefault(name, default)
        own = set(group["params"])
        if len(own) != len(group["params"]):
            warnings.warn(
                "optimizer contains a parameter group with duplicate parameters; in future, this will cause an error",
                stacklevel=3,
            )
        if any(p in own for g in self.param_groups for p in g["params"]):
            raise ValueError("some parameters appear in more than one parameter group")
        self.param_groups.append(group)
        self.parameters += triples

    @staticmethod
    def _resolve(params: Any) -> tuple[list[tuple[Any, str, Tensor]], list[str]]:
        if isinstance(params, ParameterIterator):
            return list(params.triples), []
        triples: list[tuple[Any, str, Tensor]] = []
        names: list[str] = []
        for item in [params] if isinstance(params, Tensor) else params:
            if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
                names.append(item[0])
                item = item[1]
            if not isinstance(item, Tensor):
                raise TypeError("optimizer can only optimize Tensors, but one of the params is " + type(item).__name__)
            triples.append((_Holder(item), "tensor", item))
        if names and len(names) != len(triples):
            raise ValueError("all optimizer params should be with/without names. Some param names are missing")
        return triples, names

    # -- for the subclasses -----------------------------------------------------------------------

    @staticmethod
    def _evaluate(closure: Callable[[], Any] | None) -> Any:
        if closure is None:
            return None
        with enable_grad():
            return closure()

    def _with_grads(self, group: dict[str, Any]) -> tuple[list[Tensor], list[Tensor]]:
        """The parameters of the group that have a gradient, and the gradients. Sparse ones are stepped with
        (`_step_sparse`) and left out."""
        params, grads, sparse = _optim.with_grads(group["params"])
        if not sparse:
            return params, grads
        dense = []
        for p, g in zip(params, grads):
            if g.is_sparse:
                self._step_sparse(group, p, g)
            else:
                dense.append((p, g))
        return [p for p, _ in dense], [g for _, g in dense]

    def _step_sparse(self, group: dict[str, Any], p: Tensor, g: Any) -> None:
        """One update of a parameter with a sparse gradient. RuntimeError unless a subclass knows how."""
        raise RuntimeError(f"{type(self).__name__} does not support sparse gradients")

    @staticmethod
    def _check_not_capturing(p: Tensor) -> None:
        """Called before state for `p` is made. RuntimeError in the capture of a CUDA graph."""
        if p.is_cuda and is_current_stream_capturing():
            raise RuntimeError(
                "The optimizer's state would be made in the capture of a CUDA graph, and made anew by each replay; "
                "take a step before the capture"
            )

    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Updates the parameters; returns what `closure`, if given, returned."""
        raise NotImplementedError

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Clears the gradients of all parameters: to None, or to zeros."""
        if _profiling():
            with _marked(f"Optimizer.zero_grad#{type(self).__name__}.zero_grad"):
                return self._zero_grad(set_to_none)
        return self._zero_grad(set_to_none)

    def _zero_grad(self, set_to_none: bool) -> None:
        for group in self.param_groups:
            _optim.zero_grad(group["params"], set_to_none)

    # -- saving and loading -----------------------------------------------------------------------

    def state_dict(self) -> dict[str, Any]:
        """{"state": {index: {...}}, "param_groups": [{..., "params": [index, ...]}]}, as in PyTorch."""
        for hook in list(self._optimizer_state_dict_pre_hooks.values()):
            hook(self)
        index: dict[Tensor, int] = {}
        groups = []
        for group in self.param_groups:
            for p in group["params"]:
                index.setdefault(p, len(index))
            packed = {k: v for k, v in group.items() if k != "params"}
            packed["params"] = [index[p] for p in group["params"]]
            groups.append(packed)
        state = {(index[k] if isinstance(k, Tensor) else k): v for k, v in self.state.items()}
        result: dict[str, Any] = {"state": state, "param_groups": groups}
        for hook in list(self._optimizer_state_dict_post_hooks.values()):
            replaced = hook(self, result)
            result = result if replaced is None else replaced
        return result

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Takes over (copies of) the state and the options of `state_dict`; its groups must match this
        optimizer's in number and sizes. Nothing changes if it raises."""
        state_dict = dict(state_dict)
        for hook in list(self._optimizer_load_state_dict_pre_hooks.values()):
            replaced = hook(self, state_dict)
            state_dict = state_dict if replaced is None else replaced
        groups, saved = self.param_groups, state_dict["param_groups"]
        if len(groups) != len(saved):
            raise ValueError("loaded state dict has a different number of parameter groups")
        if any(len(g["params"]) != len(s["params"]) for g, s in zip(groups, saved)):
            raise ValueError(
                "loaded state dict contains a parameter group that doesn't match the size of optimizer's group"
            )
        by_index = {i: (p, s) for g, s in zip(groups, saved) for p, i in zip(g["params"], s["params"])}
        state: Any = defaultdict(dict)
        for key, value in state_dict["state"].items():
            param, options = by_index.get(key, (None, {}))
            on_device = bool(options.get("capturable") or options.get("fused"))
            state[key if param is None else param] = self._unpack(value, param, on_device)
        new_groups = []
        for group, options in zip(groups, saved):
            new = {k: self._unpack(v, None) for k, v in options.items() if k != "params"}
            for name, default in self.defaults.items():
                new.setdefault(name, default)
            if "param_names" in group and "param_names" not in new:
                new["param_names"] = group["param_names"]
            new["params"] = group["params"]
            new_groups.append(new)
        self.__setstate__({"state": state, "param_groups": new_groups})
        for hook in list(self._optimizer_load_state_dict_post_hooks.values()):
            hook(self)

    def _unpack(self, value: Any, param: Tensor | None, on_device: bool = False, key: Any = None) -> Any:
        """A deep copy of a state dict's value; tensors follow their parameter's device and dtype, numbers only if the
        optimizer keeps them `on_device`."""
        if isinstance(value, Tensor):
            value = value.detach().clone()
            if param is None:
                return value
            if key in self._numbers:
                return value.to(param.device, float32) if on_device else value
            if param.is_floating_point() and value.is_floating_point():
                return value.to(param.device, param.dtype)
            return value.to(param.device)
        if isinstance(value, dict):
            return {k: self._unpack(v, param, on_device, k) for k, v in value.items()}
        if isinstance(value, (list, tuple)):
            return type(value)(self._unpack(v, param, on_device) for v in value)
        return value

    def __getstate__(self) -> dict[str, Any]:
        return {"defaults": self.defaults, "state": self.state, "param_groups": self.param_groups}

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        if "parameters" not in self.__dict__:  # unpickled or copied
            self._make_hooks()
            self.defaults.setdefault("differentiable", False)
            self.parameters = [(_Holder(p), "tensor", p) for g in self.param_groups for p in g["params"]]

    def __repr__(self) -> str:
        text = type(self).__name__ + " ("
        for i, group in enumerate(self.param_groups):
            text += f"\nParameter Group {i}\n"
            text += "".join(f"    {k}: {group[k]}\n" for k in sorted(group) if k != "params")
        return text + ")"
