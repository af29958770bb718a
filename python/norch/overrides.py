"""Classes that say what norch's functions do with them, by PyTorch's `__torch_function__` protocol.

A subclass of `Tensor` needs nothing else: results are of its class, and a `__torch_function__` of its own sees every
call. Other classes may define the classmethod too; a program in which no subclass of Tensor exists imports this module
to have them looked at.

    class Scaled:
        def __init__(self, value, scale):
            self.value, self.scale = value, scale

        @classmethod
        def __torch_function__(cls, func, types, args=(), kwargs=None):
            if func is norch.sum:
                return args[0].scale * norch.sum(args[0].value)
            return NotImplemented
"""

from __future__ import annotations

import functools
from types import TracebackType
from typing import Any, Callable, Iterable

import norch
from norch import _C, _torch_function

__all__ = [
    "BaseTorchFunctionMode",
    "DisableTorchFunction",
    "DisableTorchFunctionSubclass",
    "TorchFunctionMode",
    "get_overridable_functions",
    "handle_torch_function",
    "has_torch_function",
    "has_torch_function_unary",
    "has_torch_function_variadic",
    "is_tensor_like",
    "is_tensor_method_or_property",
    "resolve_name",
    "wrap_torch_function",
]

_C._overrides.turn_on()


class _Off:
    _modes_too = False

    def __enter__(self) -> None:
        _C._overrides.switch_off(self._modes_too, 1)

    def __exit__(self, *exception: object) -> None:
        _C._overrides.switch_off(self._modes_too, -1)


class DisableTorchFunctionSubclass(_Off):
    """A context in which arguments' classes are not asked; modes are."""


class DisableTorchFunction(_Off):
    """A context in which neither arguments' classes nor modes are asked."""

    _modes_too = True


class TorchFunctionMode:
    """A context in which every call of a function of norch goes to its `__torch_function__` first.

    >>> class Names(norch.overrides.TorchFunctionMode):
    ...     def __torch_function__(self, func, types, args=(), kwargs=None):
    ...         print(norch.overrides.resolve_name(func))
    ...         return func(*args, **(kwargs or {}))
    >>> with Names():
    ...     _ = norch.ones(2) + 1
    torch.ones
    torch.Tensor.add
    """

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        """What a call does; the mode itself is off meanwhile."""
        raise NotImplementedError

    def __enter__(self) -> TorchFunctionMode:
        _C._overrides.push_mode(self)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, traceback: TracebackType | None
    ) -> None:
        _C._overrides.pop_mode()


class BaseTorchFunctionMode(TorchFunctionMode):
    """A mode that changes nothing."""

    def __torch_function__(self, func: Callable, types: tuple, args: tuple = (), kwargs: dict | None = None) -> Any:
        return func(*args, **(kwargs or {}))


def has_torch_function(relevant_args: Iterable[Any]) -> bool:
    """Whether a mode is entered, or the class of one of the arguments overrides functions."""
    return bool(_C._overrides.modes() or _C._overrides.overloaded(tuple(relevant_args)))


def has_torch_function_unary(arg: Any) -> bool:
    """has_torch_function((arg,))."""
    return has_torch_function((arg,))


def has_torch_function_variadic(*args: Any) -> bool:
    """has_torch_function(args)."""
    return has_torch_function(args)


def handle_torch_function(public_api: Callable, relevant_args: Iterable[Any], *args: Any, **kwargs: Any) -> Any:
    """What the override of `public_api`, a Python function, returns for these arguments.

    TypeError if every class that was asked returned NotImplemented."""
    overloaded = _C._overrides.overloaded(tuple(relevant_args))
    types = tuple(type(arg) for arg in overloaded)
    for arg in overloaded:
        result = arg.__torch_function__(public_api, types, args, kwargs)
        if result is not NotImplemented:
            return result
    name = f"{public_api.__module__}.{public_api.__name__}"
    raise TypeError(f"no implementation found for '{name}' on types that implement __torch_function__: {list(types)}")


def wrap_torch_function(dispatcher: Callable) -> Callable:
    """A decorator for Python functions: `dispatcher` takes the function's arguments and returns those whose classes
    may override it."""

    def decorate(function: Callable) -> Callable:
        @functools.wraps(function)
        def overridable(*args: Any, **kwargs: Any) -> Any:
            relevant = dispatcher(*args, **kwargs)
            if has_torch_function(relevant):
                return handle_torch_function(overridable, relevant, *args, **kwargs)
            return function(*args, **kwargs)

        return overridable

    return decorate


def is_tensor_like(inp: Any) -> bool:
    """Whether it is a tensor or has __torch_function__."""
    return type(inp) is norch.Tensor or hasattr(inp, "__torch_function__")


@functools.cache
def _namespaces() -> dict[str, Any]:
    from norch import fft, linalg, special
    from norch.nn import functional, init

    return {
        "torch": norch,
        "torch.nn.functional": functional,
        "torch.nn.init": init,
        "torch.Tensor": norch.Tensor,
        "torch.linalg": linalg,
        "torch.fft": fft,
        "torch.special": special,
    }


def get_overridable_functions() -> dict[Any, list[Callable]]:
    """The functions that classes can override, by the namespace that has them."""
    ignored = _torch_function._IGNORED
    found: dict[Any, list[Callable]] = {}
    for namespace in _namespaces().values():
        names = [name for name in vars(namespace) if name not in ignored]
        if namespace is not norch.Tensor:
            names = [name for name in names if not name.startswith("_")]
        values = [getattr(namespace, name) for name in names]
        found[namespace] = [value for value in values if callable(value) and not isinstance(value, type)]
    return found


@functools.cache
def _names() -> dict[Any, str]:
    names: dict[Any, str] = {}
    for prefix, namespace in _namespaces().items():
        for name, value in vars(namespace).items():
            if callable(value) and not isinstance(value, type):
                names.setdefault(value, f"{prefix}.{name}")
            elif namespace is norch.Tensor and hasattr(value, "__get__"):
                names.setdefault(value.__get__, f"{prefix}.{name}.__get__")
    return names


def resolve_name(f: Callable) -> str | None:
    """The function's name in PyTorch, such as 'torch.Tensor.add'; None for others."""
    return _names().get(f)


@functools.cache
def _of_tensor() -> set[Any]:
    values = list(vars(norch.Tensor).values())
    return {*(v for v in values if callable(v)), *(v.__get__ for v in values if hasattr(v, "__get__"))}


def is_tensor_method_or_property(func: Callable) -> bool:
    """Whether it is a method of Tensor, or an attribute's `__get__`."""
    return func in _of_tensor()
