"""The Python side of __torch_function__: Tensor's own, and functions written in Python that it can override.

The C++ side (python/src/overrides.cpp) looks at the arguments of what is bound to C++, once a class exists that may
override it. Only then are the functions here exchanged: before, they cost nothing.
"""

from __future__ import annotations

import functools
import types
from typing import Any, Callable

from norch import _C
from norch._C import Parameter, Tensor

# What PyTorch doesn't let classes override either (torch.overrides.get_ignored_functions).
_IGNORED = {"__init__", "__iter__", "__reduce_ex__", "__torch_function__", "as_subclass", "upsample", "upsample_bilinear"}
_IGNORED |= {"upsample_nearest"}


@classmethod  # type: ignore[misc]
def _torch_function(cls: type, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
    """What `func` does with arguments of this class: as with plain tensors, and its tensors are of this class."""
    if not all(issubclass(cls, t) for t in types):
        return NotImplemented
    result = _C._disabled_torch_function_impl(func, types, args, kwargs)
    return result if func in _not_converted() else _C._overrides.convert(result, cls)


@functools.cache
def _not_converted() -> tuple:
    return tuple(Tensor.__dict__[name].__get__ for name in ("_base", "grad", "_grad"))


setattr(Tensor, "__torch_function__", _torch_function)
setattr(Parameter, "__torch_function__", _C._disabled_torch_function_impl)


def _overridable(owner: Any, name: str, function: Callable) -> Callable:
    @functools.wraps(function)
    def public(*args: Any, **kwargs: Any) -> Any:
        return _C._overrides.call(public, function, args, kwargs)

    public.__name__ = name
    public.__qualname__ = f"{owner.__name__}.{name}" if isinstance(owner, type) else name
    return public


def wrap_python_functions() -> None:
    """Makes Tensor's methods and nn.functional's functions that are written in Python overridable."""
    import norch
    from norch.nn import functional

    setattr(norch, "_assert", _overridable(norch, "_assert", norch._assert))
    for owner in (Tensor, functional):
        for name, function in list(vars(owner).items()):
            private = name.startswith("_") and not name.endswith("__")
            if isinstance(function, types.FunctionType) and not private and name not in _IGNORED:
                setattr(owner, name, _overridable(owner, name, function))
