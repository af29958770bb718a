"""What `Module` keeps its members in, and small helpers of its methods."""

from __future__ import annotations

import weakref
from typing import Any

import norch
from norch._C import Tensor

__all__ = ["Registry", "parse_to", "typename"]


class Registry(dict):
    """A dict of members whose entries are also attributes of the owning module, unless its class has a `__getattr__` of
    its own: that is asked for members in PyTorch, and may do more than find them."""

    __slots__ = ("_mirrored", "_owner")

    def __init__(self, owner: Any, items: dict | None = None) -> None:
        super().__init__(items or {})
        self._owner = weakref.ref(owner)
        self._mirrored = type(owner).__getattr__ is type(owner)._plain_getattr
        if self._mirrored:
            owner.__dict__.update(self)

    def _attributes(self) -> dict:
        owner = self._owner()
        return owner.__dict__ if owner is not None and self._mirrored else {}

    def __setitem__(self, name: str, value: Any) -> None:
        super().__setitem__(name, value)
        self._attributes()[name] = value

    def __delitem__(self, name: str) -> None:
        super().__delitem__(name)
        self._attributes().pop(name, None)

    def pop(self, name: str, *default: Any) -> Any:
        if name in self:
            self._attributes().pop(name, None)
        return super().pop(name, *default)

    def popitem(self) -> tuple:
        name, value = super().popitem()
        self._attributes().pop(name, None)
        return name, value

    def clear(self) -> None:
        attributes = self._attributes()
        for name in self:
            attributes.pop(name, None)
        super().clear()

    def setdefault(self, name: str, default: Any = None) -> Any:
        if name not in self:
            self[name] = default
        return self[name]

    def update(self, *args: Any, **kwargs: Any) -> None:
        for name, value in dict(*args, **kwargs).items():
            self[name] = value

    def __ior__(self, other: Any) -> Registry:  # type: ignore[override,misc]
        self.update(other)
        return self

    def __reduce__(self) -> tuple:  # copied and pickled as a plain dict: the owner wraps it again
        return dict, (dict(self),)


def _addindent(text: str, spaces: int = 2) -> str:
    return text.replace("\n", "\n" + " " * spaces)


def typename(value: Any) -> str:
    cls = value if isinstance(value, type) else type(value)
    return cls.__qualname__ if cls.__module__ == "builtins" else f"{cls.__module__}.{cls.__qualname__}"


def parse_to(
    *args: Any,
    device: Any = None,
    dtype: Any = None,
    non_blocking: bool = False,
    memory_format: Any = None,
    **other: Any,
) -> tuple:
    """(device, dtype, non_blocking, memory_format) from any of the forms that `to` takes."""
    tensor = other.pop("tensor", other.pop("other", None))
    if other:
        raise TypeError(f"to() got an unexpected keyword argument '{next(iter(other))}'")
    rest = list(args)
    if rest and isinstance(rest[0], Tensor):
        tensor = rest.pop(0)
    elif rest and isinstance(rest[0], norch.dtype):
        dtype = rest.pop(0)
    elif rest:
        first = rest.pop(0)
        device = device if first is None else first
        if rest and (rest[0] is None or isinstance(rest[0], norch.dtype)):
            dtype = rest.pop(0) or dtype
    if tensor is not None:
        device, dtype = tensor.device, tensor.dtype
    if rest:
        non_blocking = bool(rest.pop(0))
    if rest and not isinstance(rest[0], bool) or len(rest) > 1:
        raise TypeError(f"to() received an invalid combination of arguments: {args}")
    return None if device is None else norch.device(device), dtype, non_blocking, memory_format
