"""Calling a module, and the hooks that run around the call.

A module without hooks goes straight to `forward`: the instance (or, for hooks on every module, the
class) carries one flag, `_hooked`, which is set by the first registration and never cleared.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import Any, Callable

from norch._C import Tensor, is_grad_enabled
from norch.autograd import Function
from norch.utils.hooks import RemovableHandle

__all__ = [
    "HooksMixin",
    "register_module_backward_hook",
    "register_module_buffer_registration_hook",
    "register_module_forward_hook",
    "register_module_forward_pre_hook",
    "register_module_full_backward_hook",
    "register_module_full_backward_pre_hook",
    "register_module_module_registration_hook",
    "register_module_parameter_registration_hook",
    "registered",
]

_global_forward_pre_hooks: OrderedDict = OrderedDict()
_global_forward_hooks: OrderedDict = OrderedDict()
_global_forward_hooks_with_kwargs: OrderedDict = OrderedDict()
_global_forward_hooks_always_called: OrderedDict = OrderedDict()
_global_backward_pre_hooks: OrderedDict = OrderedDict()
_global_backward_hooks: OrderedDict = OrderedDict()
_global_is_full_backward_hook: bool | None = None  # whether those have the full hooks' name or the old one's
_registration_hooks: dict[str, OrderedDict] = {kind: OrderedDict() for kind in ("buffer", "module", "parameter")}


class _Gate(Function):
    """Identity on its tensors; in the backward pass their gradients go through `on_grads`."""

    @staticmethod
    def forward(ctx: Any, on_grads: Callable, *tensors: Tensor) -> Any:
        ctx.on_grads = on_grads
        return tuple(t.view_as(t) for t in tensors)

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return (None, *ctx.on_grads(grads))


class _BackwardHooks:
    """One call's backward hooks: gates around the module's inputs and outputs."""

    def __init__(self, module: Any, pre_hooks: list, hooks: list) -> None:
        self.module, self.pre_hooks, self.hooks = module, pre_hooks, hooks
        self.grad_output: Any = None
        self.n_inputs = 0
        self.n_outputs = 0
        self.gated_inputs: tuple = ()

    @staticmethod
    def _gate(values: tuple, on_grads: Callable) -> tuple[tuple, tuple]:
        """Passes the tensors through one gate if any of them needs a gradient. Returns values, indices."""
        at = tuple(
            i
            for i, v in enumerate(values)
            if isinstance(v, Tensor) and (v.dtype.is_floating_point or v.dtype.is_complex)
        )
        if not is_grad_enabled() or not any(values[i].requires_grad for i in at):
            return values, ()
        out = list(values)
        for i, t in zip(at, _Gate.apply(on_grads, *(values[i] for i in at))):
            out[i] = t
        return tuple(out), at

    def inputs(self, args: tuple) -> tuple:
        self.n_inputs = len(args)
        args, self.gated_inputs = self._gate(args, self._on_grad_input)
        return args

    def outputs(self, result: Any) -> Any:
        values = tuple(result) if isinstance(result, (tuple, list)) else (result,)
        self.n_outputs = len(values)
        self.gated_outputs: tuple = ()
        values, self.gated_outputs = self._gate(values, self._on_grad_output)
        if not self.gated_outputs:
            return result
        if isinstance(result, tuple) and hasattr(result, "_fields"):
            return type(result)(*values)
        return type(result)(values) if isinstance(result, (tuple, list)) else values[0]

    def _spread(self, grads: tuple, at: tuple, n: int) -> tuple:
        full = [None] * n
        for i, g in zip(at, grads):
            full[i] = g
        return tuple(full)

    def _on_grad_output(self, grads: tuple) -> tuple:
        full = self._spread(grads, self.gated_outputs, self.n_outputs)
        for hook in self.pre_hooks:
            result = hook(self.module, full)
            if result is not None:
                full = _as_tuple(result, "backward pre hook", len(full))
        self.grad_output = full
        if not self.gated_inputs:
            # No input needs a gradient: the hooks run here, and see None for every input.
            for hook in self.hooks:
                if hook(self.module, (None,) * self.n_inputs, full) is not None:
                    raise RuntimeError(
                        "Backward hook for Modules where no input requires gradient should always "
                        "return None or None for all gradients."
                    )
        return tuple(full[i] for i in self.gated_outputs)

    def _on_grad_input(self, grads: tuple) -> tuple:
        if self.grad_output is None:
            raise RuntimeError(
                "Module backward hook for grad_input is called before the grad_output one. This "
                "happens because the gradient in your nn.Module flows to the Module's input "
                "without passing through the Module's output. Make sure that the output depends "
                "on the input and that the loss is computed based on the output."
            )
        full = self._spread(grads, self.gated_inputs, self.n_inputs)
        for hook in self.hooks:
            result = hook(self.module, full, self.grad_output)
            if result is not None:
                full = _as_tuple(result, "backward hook", len(full))
        self.grad_output = None
        return tuple(full[i] for i in self.gated_inputs)


def _as_tuple(result: Any, what: str, n: int) -> tuple:
    result = result if isinstance(result, tuple) else (result,)
    if len(result) != n:
        raise RuntimeError(f"{what} returned an invalid number of grads: got {len(result)}, expected {n}")
    return result


class HooksMixin:
    """`__call__` and the registration of hooks. A base of `Module`."""

    _hooked = False
    _is_full_backward_hook: bool | None = None  # as the global one
    _forward_pre_hooks: OrderedDict[int, Callable]
    _forward_pre_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks: OrderedDict[int, Callable]
    _forward_hooks_with_kwargs: OrderedDict[int, bool]
    _forward_hooks_always_called: OrderedDict[int, bool]
    _backward_pre_hooks: OrderedDict[int, Callable]
    _backward_hooks: OrderedDict[int, Callable]
    forward: Callable[..., Any]

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if self._hooked:
            return self._call_with_hooks(args, kwargs)
        return self.forward(*args, **kwargs)

    def _call_with_hooks(self, args: tuple, kwargs: dict) -> Any:
        for hook in list(_global_forward_pre_hooks.values()):
            result = hook(self, args)
            if result is not None:
                args = result if isinstance(result, tuple) else (result,)
        for key, hook in list(self._forward_pre_hooks.items()):
            if key in self._forward_pre_hooks_with_kwargs:
                result = hook(self, args, kwargs)
                if result is not None:
                    if not isinstance(result, tuple) or len(result) != 2:
                        raise RuntimeError(
                            f"forward pre-hook must return None or a tuple of (new_args, new_kwargs), but got {result}."
                        )
                    args, kwargs = result
            else:
                result = hook(self, args)
                if result is not None:
                    args = result if isinstance(result, tuple) else (result,)

        pre = [*_global_backward_pre_hooks.values(), *self._backward_pre_hooks.values()]
        post = [*_global_backward_hooks.values(), *self._backward_hooks.values()]
        gates = _BackwardHooks(self, pre, post) if pre or post else None
        called: set = set()
        try:
            if gates is not None:
                args = gates.inputs(args)
            result = self.forward(*args, **kwargs)
            for hook, with_kwargs, key in self._all_forward_hooks():
                called.add(key)
                changed = hook(self, args, kwargs, result) if with_kwargs else hook(self, args, result)
                if changed is not None:
                    result = changed
            return result if gates is None else gates.outputs(result)
        except Exception:
            self._run_always_called(called, args, kwargs)
            raise

    def _all_forward_hooks(self) -> list:
        hooks = [
            (hook, key in _global_forward_hooks_with_kwargs, key)
            for key, hook in _global_forward_hooks.items()
        ]
        hooks += [
            (hook, key in self._forward_hooks_with_kwargs, key) for key, hook in self._forward_hooks.items()
        ]
        return hooks

    def _run_always_called(self, called: set, args: tuple, kwargs: dict) -> None:
        """After a failed forward: the hooks that asked to run anyway, each with result None."""
        for hook, with_kwargs, key in self._all_forward_hooks():
            always = key in self._forward_hooks_always_called or key in _global_forward_hooks_always_called
            if not always or key in called:
                continue
            try:
                hook(self, args, kwargs, None) if with_kwargs else hook(self, args, None)
            except Exception as e:
                warnings.warn(
                    "module forward hook with ``always_call=True`` raised an exception that was "
                    f"silenced as another error was raised in forward: {e}",
                    stacklevel=3,
                )

    def register_forward_pre_hook(
        self, hook: Callable, *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """`hook(module, args) -> None | args` before every forward; with `with_kwargs`,
        `hook(module, args, kwargs) -> None | (args, kwargs)`."""
        handle = RemovableHandle(self._forward_pre_hooks, extra_dict=self._forward_pre_hooks_with_kwargs)
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return self._add_hook(self._forward_pre_hooks, handle, hook, prepend)

    def register_forward_hook(
        self,
        hook: Callable,
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """`hook(module, args, output) -> None | output` after every forward (`with_kwargs`: kwargs
        come third). With `always_call` it runs, with output None, when forward raised."""
        handle = RemovableHandle(
            self._forward_hooks,
            extra_dict=[self._forward_hooks_with_kwargs, self._forward_hooks_always_called],
        )
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return self._add_hook(self._forward_hooks, handle, hook, prepend)

    def register_full_backward_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_output) -> None | grad_output` before the module's gradients are computed."""
        handle = RemovableHandle(self._backward_pre_hooks)
        return self._add_hook(self._backward_pre_hooks, handle, hook, prepend)

    def register_full_backward_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(module, grad_input, grad_output) -> None | grad_input` once the gradients of the
        module's positional inputs are known. Inputs without a gradient show as None."""
        return self._add_backward_hook(hook, True, prepend)

    def register_backward_hook(self, hook: Callable) -> RemovableHandle:
        """The old name of `register_full_backward_hook`; norch has only full backward hooks."""
        return self._add_backward_hook(hook, False, False)

    def _add_backward_hook(self, hook: Callable, full: bool, prepend: bool) -> RemovableHandle:
        _check_one_kind(self._is_full_backward_hook, full, "on a single Module")
        self.__dict__["_is_full_backward_hook"] = full
        handle = RemovableHandle(self._backward_hooks)
        return self._add_hook(self._backward_hooks, handle, hook, prepend)

    def _add_hook(self, hooks: OrderedDict, handle: RemovableHandle, hook: Callable, prepend: bool) -> Any:
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        self.__dict__["_hooked"] = True
        return handle


def _check_one_kind(registered: bool | None, full: bool, where: str) -> None:
    if registered is not None and registered != full:
        raise RuntimeError(
            f"Cannot use both regular backward hooks and full backward hooks {where}. Please use only one of them."
        )


def _add_global(hooks: OrderedDict, hook: Callable, *extra: OrderedDict) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=list(extra))
    hooks[handle.id] = hook
    for d in extra:
        d[handle.id] = True
    HooksMixin._hooked = True
    return handle


def register_module_forward_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, args)` before the forward of every module of the program."""
    return _add_global(_global_forward_pre_hooks, hook)


def register_module_forward_hook(
    hook: Callable, *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """`hook(module, args, output)` after the forward of every module of the program."""
    extra = [_global_forward_hooks_with_kwargs] if with_kwargs else []
    extra += [_global_forward_hooks_always_called] if always_call else []
    return _add_global(_global_forward_hooks, hook, *extra)


def register_module_full_backward_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, grad_output)` before the backward of every module of the program."""
    return _add_global(_global_backward_pre_hooks, hook)


def register_module_full_backward_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, grad_input, grad_output)` in the backward of every module of the program."""
    return _add_global_backward_hook(hook, True)


def register_module_backward_hook(hook: Callable) -> RemovableHandle:
    """The old name of `register_module_full_backward_hook`; norch has only full backward hooks."""
    return _add_global_backward_hook(hook, False)


def _add_global_backward_hook(hook: Callable, full: bool) -> RemovableHandle:
    global _global_is_full_backward_hook
    _check_one_kind(_global_is_full_backward_hook, full, "as a global Module hook")
    _global_is_full_backward_hook = full
    return _add_global(_global_backward_hooks, hook)


def _add_registration(kind: str, hook: Callable) -> RemovableHandle:
    handle = RemovableHandle(_registration_hooks[kind])
    _registration_hooks[kind][handle.id] = hook
    return handle


def register_module_buffer_registration_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, name, buffer) -> None | buffer` for what every `register_buffer` of the program registers."""
    return _add_registration("buffer", hook)


def register_module_module_registration_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, name, child) -> None | child` for what every `add_module` of the program registers."""
    return _add_registration("module", hook)


def register_module_parameter_registration_hook(hook: Callable) -> RemovableHandle:
    """`hook(module, name, parameter) -> None | parameter` for what every `register_parameter` registers."""
    return _add_registration("parameter", hook)


def registered(kind: str, module: Any, name: str, member: Any) -> Any:
    """What the hooks for members of that kind make of one that is being registered."""
    for hook in _registration_hooks[kind].values():
        result = hook(module, name, member)
        member = member if result is None else result
    return member
