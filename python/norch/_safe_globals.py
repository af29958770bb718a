"""The names beyond tensors, numbers, texts and containers that `load` may use from a file."""

from __future__ import annotations

import threading
from types import FunctionType
from typing import Any, Callable, Iterable, Union

import norch

__all__ = ["add_safe_globals", "allowed", "clear_safe_globals", "function_name", "get_safe_globals", "safe_globals"]

_Global = Union[Callable, tuple[Callable, str]]

_lock = threading.Lock()
_globals: list[_Global] = []


def add_safe_globals(safe_globals: list[_Global]) -> None:
    """Allows `load(weights_only=True)` to call these classes and functions where a file names them, as in
    torch.serialization. An entry is the class or function, or a tuple of it and its name in the file.

    Only list what is harmless with any argument: whoever made the file chooses the arguments."""
    for entry in safe_globals:
        _path(entry)
    with _lock:
        _globals.extend(entry for entry in safe_globals if entry not in _globals)


def get_safe_globals() -> list[_Global]:
    """What was added so far."""
    with _lock:
        return list(_globals)


def clear_safe_globals() -> None:
    """Takes back what was added."""
    with _lock:
        _globals.clear()


class safe_globals:
    """A context in which `load` may use these names too: `with safe_globals([Config]): load(path)`."""

    def __init__(self, safe_globals: list[_Global]) -> None:
        self._entries = list(safe_globals)
        self._before: list[_Global] = []

    def __enter__(self) -> None:
        self._before = get_safe_globals()
        add_safe_globals(self._entries)

    def __exit__(self, *exc: Any) -> None:
        with _lock:
            _globals[:] = self._before


def _path(entry: _Global) -> tuple[str, Any]:
    if isinstance(entry, tuple):
        if len(entry) != 2 or not isinstance(entry[1], str):
            raise ValueError(f"Expected a tuple of (global, str of callable full path), but got {entry}")
        return entry[1], entry[0]
    if not callable(entry):
        raise TypeError(f"add_safe_globals: expected classes, functions, or tuples (global, name), but got {entry!r}")
    return f"{entry.__module__}.{entry.__qualname__}", entry


def function_name(value: Any) -> str | None:
    """What files call a function of norch or of norch.nn.functional: PyTorch's name. None for anything else."""
    if not isinstance(value, (FunctionType, type(norch._C.relu))):
        return None
    name: str = value.__name__  # type: ignore[union-attr]
    for path, module in (("torch.nn.functional.", norch.nn.functional), ("torch.", norch)):
        if vars(module).get(name) is value:
            return path + name
    return None


def allowed(entries: Iterable[_Global] | None = None) -> dict[str, Any]:
    """The listed objects by the names that files use; norch's also by torch's, and the reverse."""
    found = dict(map(_path, get_safe_globals() if entries is None else entries))
    found.update({name: v for v in list(found.values()) if (name := function_name(v)) is not None})
    for ours, theirs in (("norch.", "torch."), ("torch.", "norch.")):  # norch.compat gives classes torch's names
        found.update({theirs + k[len(ours) :]: v for k, v in list(found.items()) if k.startswith(ours)})
    return found
