"""The hooks of optimizers: around their steps, and around saving and loading their state."""

from __future__ import annotations

import functools
from collections import OrderedDict
from typing import Any, Callable

from norch._C._profiler import on as _profiling
from norch.utils.hooks import RemovableHandle

__all__ = ["OptimizerHooks", "register_optimizer_step_post_hook", "register_optimizer_step_pre_hook"]

_HOOKS = (
    "_optimizer_step_pre_hooks",
    "_optimizer_step_post_hooks",
    "_optimizer_state_dict_pre_hooks",
    "_optimizer_state_dict_post_hooks",
    "_optimizer_load_state_dict_pre_hooks",
    "_optimizer_load_state_dict_post_hooks",
)
_global_pre_hooks: OrderedDict = OrderedDict()
_global_post_hooks: OrderedDict = OrderedDict()


def register_optimizer_step_pre_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs) -> None | (args, kwargs)` before every step of every optimizer."""
    return OptimizerHooks._add_hook(_global_pre_hooks, hook, False)


def register_optimizer_step_post_hook(hook: Callable) -> RemovableHandle:
    """`hook(optimizer, args, kwargs)` after every step of every optimizer."""
    return OptimizerHooks._add_hook(_global_post_hooks, hook, False)


def _marked(name: str) -> Any:
    """Names a range in profiles."""
    from norch.autograd.profiler import record_function

    return record_function(name)


def _with_hooks(step: Callable) -> Callable:
    @functools.wraps(step)
    def hooked_step(*args: Any, **kwargs: Any) -> Any:
        self = args[0]
        pre, post = self._optimizer_step_pre_hooks, self._optimizer_step_post_hooks
        if not (pre or post or _global_pre_hooks or _global_post_hooks or _profiling()):
            return step(*args, **kwargs)
        with _marked(f"Optimizer.step#{type(self).__name__}.step"):
            return step_and_hooks(self, pre, post, args, kwargs)

    def step_and_hooks(self: Any, pre: OrderedDict, post: OrderedDict, args: tuple, kwargs: dict) -> Any:
        for hook in [*_global_pre_hooks.values(), *pre.values()]:
            result = hook(self, args, kwargs)
            if result is not None:
                if not isinstance(result, tuple) or len(result) != 2:
                    raise RuntimeError(
                        f"{step} must return None or a tuple of (new_args, new_kwargs), but got {result}."
                    )
                args, kwargs = result
        out = step(*args, **kwargs)
        for hook in [*post.values(), *_global_post_hooks.values()]:
            hook(self, args, kwargs)
        return out

    hooked_step.hooked = True  # type: ignore[attr-defined]
    return hooked_step


class OptimizerHooks:
    """The part of an optimizer that keeps its hooks."""

    _optimizer_step_pre_hooks: OrderedDict
    _optimizer_step_post_hooks: OrderedDict
    _optimizer_state_dict_pre_hooks: OrderedDict
    _optimizer_state_dict_post_hooks: OrderedDict
    _optimizer_load_state_dict_pre_hooks: OrderedDict
    _optimizer_load_state_dict_post_hooks: OrderedDict

    step: Any

    def _make_hooks(self) -> None:
        for name in _HOOKS:
            self.__dict__.setdefault(name, OrderedDict())
        self._patch_step_function()

    @classmethod
    def _patch_step_function(cls) -> None:
        """Makes the class's `step` run hooks; once for each class that defines one."""
        if not getattr(cls.step, "hooked", False):
            cls.step = _with_hooks(cls.step)  # type: ignore[method-assign]

    def register_step_pre_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs) -> None | (args, kwargs)` before every step; args begins with the optimizer."""
        return self._add_hook(self._optimizer_step_pre_hooks, hook, False)

    def register_step_post_hook(self, hook: Callable) -> RemovableHandle:
        """`hook(optimizer, args, kwargs)` after every step."""
        return self._add_hook(self._optimizer_step_post_hooks, hook, False)

    @staticmethod
    def _add_hook(hooks: OrderedDict, hook: Callable, prepend: bool) -> RemovableHandle:
        handle = RemovableHandle(hooks)
        hooks[handle.id] = hook
        if prepend:
            hooks.move_to_end(handle.id, last=False)
        return handle

    def register_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` before `state_dict`."""
        return self._add_hook(self._optimizer_state_dict_pre_hooks, hook, prepend)

    def register_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict) -> None | state_dict`: may change what `state_dict` returns, or replace it."""
        return self._add_hook(self._optimizer_state_dict_post_hooks, hook, prepend)

    def register_load_state_dict_pre_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer, state_dict) -> None | state_dict`: may change what `load_state_dict` loads (a shallow copy
        of what it was given), or replace it."""
        return self._add_hook(self._optimizer_load_state_dict_pre_hooks, hook, prepend)

    def register_load_state_dict_post_hook(self, hook: Callable, prepend: bool = False) -> RemovableHandle:
        """`hook(optimizer)` after `load_state_dict`."""
        return self._add_hook(self._optimizer_load_state_dict_post_hooks, hook, prepend)
