"""A reader for checkpoints that the user trusts (`weights_only=False`): Python's unpickler, which imports
and calls whatever the file names. What the file takes from torch is taken from norch."""

from __future__ import annotations

import importlib
import pickle
from typing import Any, Callable

import norch

from ._rebuild import ALLOWED, StorageType, fail
from ._unpickler import storage_of

__all__ = ["trusting_load"]

_ROOTS = {"torch": "norch", "torchvision": "norch.vision"}
_CLASSES = {"torch.Tensor": norch.Tensor, "torch.nn.parameter.Parameter": norch.nn.Parameter}


def _counterpart(module: str, name: str) -> Any:
    """norch's object of torch's name: in the module of the same path, or in one above it."""
    path = f"{module}.{name}"
    if path in _CLASSES:
        return _CLASSES[path]
    if path in ALLOWED:
        return ALLOWED[path]
    root, *parts = module.split(".")
    while True:
        try:
            found: Any = importlib.import_module(".".join([_ROOTS[root], *parts]))
            for part in name.split("."):
                found = getattr(found, part)
            return found
        except (ImportError, AttributeError):
            if not parts:
                fail(f"the file refers to {path}, which norch does not have")
            parts.pop()


def trusting_load(
    file: Any, storage: Callable[[StorageType, str, str, int], Any], pickle_module: Any, options: dict[str, Any]
) -> Any:
    """The object pickled at the file's position."""

    class Unpickler((pickle_module or pickle).Unpickler):  # type: ignore[misc]
        def find_class(self, module: str, name: str) -> Any:
            if module.partition(".")[0] in _ROOTS:
                return _counterpart(module, name)
            return super().find_class(module, name)

        def persistent_load(self, pid: Any) -> Any:
            if isinstance(pid, tuple) and len(pid) == 4 and pid[0] == "module":
                return pid[1]  # old files have the source of a module's class beside it
            return storage_of(pid, storage)

    return Unpickler(file, **{"encoding": "utf-8", **options}).load()
