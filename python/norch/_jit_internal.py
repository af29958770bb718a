"""torch._jit_internal: names that programs written for TorchScript import. There is no TorchScript, so they mark nothing."""

from __future__ import annotations

import functools
from typing import Any, Callable, Dict, Final, List, Optional, Tuple, Union

from norch.futures import Future as Future
from norch.jit import export as export
from norch.jit import ignore as ignore
from norch.jit import is_scripting as is_scripting
from norch.jit import unused as unused

__all__ = ["Any", "Dict", "Final", "List", "Optional", "Tuple", "Union", "boolean_dispatch"]


def boolean_dispatch(
    arg_name: str,
    arg_index: int,
    default: bool,
    if_true: Callable[..., Any],
    if_false: Callable[..., Any],
    module_name: str,
    func_name: str,
) -> Callable[..., Any]:
    """A function that calls `if_true` or `if_false`, as its argument `arg_name`, number `arg_index`, says."""

    @functools.wraps(if_true if default else if_false)
    def fn(*args: Any, **kwargs: Any) -> Any:
        chosen = kwargs.get(arg_name, args[arg_index] if arg_index < len(args) else default)
        return (if_true if chosen else if_false)(*args, **kwargs)

    fn.__name__, fn.__module__ = func_name or fn.__name__, module_name or fn.__module__
    return fn


def _overload(func: Any) -> Any:
    """The function itself."""
    return func


_overload_method = _copy_to_script_wrapper = _overload
