"""The import hook behind norch.compat: `torch.x.y` is the module `norch.x.y`, `torchvision` is `norch.vision`."""

from __future__ import annotations

import dis
import importlib
import os
import sys
from importlib.abc import Loader, MetaPathFinder
from importlib.machinery import ModuleSpec, PathFinder, SourceFileLoader
from types import ModuleType
from typing import Any, Callable, Sequence

from ._missing import explain
from ._places import settle

__all__ = ["Finder", "adopt", "norch_name", "torch_name"]

_IMPORT_FROM = dis.opmap["IMPORT_FROM"]
_INSTALLED = ("site-packages", "dist-packages")


def torch_name(name: str) -> str:
    """What a module of norch is called in PyTorch: norch.nn -> torch.nn, norch.vision.models -> torchvision.models."""
    if name == "norch.vision" or name.startswith("norch.vision."):
        return "torchvision" + name[len("norch.vision") :]
    return "torch" + name[len("norch") :]


def norch_name(name: str) -> str:
    """The inverse of torch_name; functorch is where its functions are."""
    if name == "functorch":
        return "norch._functorch.deprecated"
    top, _, rest = name.partition(".")
    return ("norch.vision" if top == "torchvision" else "norch") + ("." + rest if rest else "")


def _is_private(name: str) -> bool:
    return name == "norch.compat" or name.startswith(("norch.compat.", "norch._C"))


def adopt(module: ModuleType) -> None:
    """Makes a module of norch known under PyTorch's name too: in sys.modules, as its `__name__` (by which libraries tell
    PyTorch from others), as the `__module__` of its classes, and in the error for a name that it lacks."""
    if _is_private(module.__name__) or getattr(module, "__file__", None) is None:
        return
    name = torch_name(module.__name__)
    sys.modules.setdefault(name, module)
    for value in list(vars(module).values()):
        home = getattr(value, "__module__", None)
        if isinstance(value, type) and isinstance(home, str) and (home == "norch" or home.startswith("norch.")):
            if not _is_private(home):
                value.__module__ = torch_name(home)
    settle(module)
    module.__name__ = name
    module.__getattr__ = _missing_attribute(name, vars(module).get("__getattr__"))  # type: ignore[method-assign]


def _missing_attribute(name: str, inner: Callable[[str], Any] | None) -> Callable[[str], Any]:
    def __getattr__(attribute: str) -> Any:
        error: AttributeError | None = None
        if inner is not None:
            try:
                return inner(attribute)
            except AttributeError as e:
                error = e
        if attribute == "torch":  # PyTorch's modules import it: torch.sparse.torch.eye is torch.eye
            return sys.modules["torch"]
        if attribute.startswith("__"):
            raise AttributeError(f"module '{name}' has no attribute '{attribute}'")
        # `from torch.nn import X` hides the text of an AttributeError, but lets an ImportError pass.
        frame = sys._getframe(1)
        if frame.f_lasti >= 0 and frame.f_code.co_code[frame.f_lasti] == _IMPORT_FROM:
            full = f"{name}.{attribute}"
            raise ImportError(f"cannot import name '{attribute}' from '{name}': {explain(full)}", name=name) from error
        raise AttributeError(
            f"module '{name}' has no attribute '{attribute}': {explain(f'{name}.{attribute}')}"
        ) from error

    return __getattr__


class _Alias(Loader):
    """Gives an import the module that exists already."""

    def __init__(self, module: ModuleType) -> None:
        self.module, self.spec = module, module.__spec__

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        return self.module

    def exec_module(self, module: ModuleType) -> None:
        module.__spec__ = self.spec  # the import system has just replaced it


class _Adopting(SourceFileLoader):
    """Loads a module of norch, then adopts it."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        adopt(module)


class _Safetensors(SourceFileLoader):
    """Loads the safetensors package, and puts norch's safe_open where it makes PyTorch's tensors."""

    def exec_module(self, module: ModuleType) -> None:
        super().exec_module(module)
        patch_safetensors(module)


def patch_safetensors(module: ModuleType) -> None:
    """Makes safetensors.safe_open(framework="pt") norch's; its errors are the package's too."""
    from norch.utils import _safe_open

    theirs: Any = getattr(module, "safe_open", None)
    base = getattr(module, "SafetensorError", None)
    if theirs is None or getattr(theirs, "_is_norch", False):
        return
    if isinstance(base, type) and not issubclass(_safe_open.SafetensorError, base):
        kind = type("SafetensorError", (_safe_open.SafetensorError, base), {"__module__": "safetensors"})
        _safe_open.SafetensorError = kind  # type: ignore[misc, assignment]

    def safe_open(filename: Any, framework: str, device: Any = "cpu", **options: Any) -> Any:
        if framework in ("pt", "torch", "pytorch"):
            return _safe_open.safe_open(filename, framework, device, **options)
        return theirs(filename, framework, device, **options)

    safe_open.__doc__ = _safe_open.safe_open.__doc__
    safe_open._is_norch = True  # type: ignore[attr-defined]
    module.safe_open = safe_open  # type: ignore[attr-defined]


def _with_safe_open(spec: ModuleSpec | None) -> ModuleSpec | None:
    if spec is not None and type(spec.loader) is SourceFileLoader:
        spec.loader = _Safetensors(spec.loader.name, spec.loader.path)
    return spec


class Finder(MetaPathFinder):
    """Finds torch, torchvision, functorch and safetensors.torch in norch; everything else is left to the other finders."""

    def find_spec(
        self, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        top = fullname.partition(".")[0]
        if top == "torch":
            return self._alias(fullname)
        if top == "torchvision":
            return self._torchvision(fullname)
        if fullname == "functorch":
            return ModuleSpec(fullname, _Alias(importlib.import_module(norch_name(fullname))))
        if fullname == "safetensors":
            return _with_safe_open(PathFinder.find_spec(fullname, path, target))
        if fullname == "safetensors.torch":  # the package's own reaches into PyTorch's memory
            return ModuleSpec(fullname, _Alias(importlib.import_module("norch.utils.safetensors")))
        if top == "norch" and not _is_private(fullname):
            spec = PathFinder.find_spec(fullname, path, target)
            if spec is not None and type(spec.loader) is SourceFileLoader:
                spec.loader = _Adopting(spec.loader.name, spec.loader.path)
            return spec
        return None

    def _alias(self, fullname: str) -> ModuleSpec:
        name = norch_name(fullname)
        try:
            module = importlib.import_module(name)
        except ModuleNotFoundError as e:
            if e.name != name and not (e.name and name.startswith(e.name + ".")):
                raise
            raise ModuleNotFoundError(f"No module named '{fullname}': {explain(fullname)}", name=fullname) from None
        # What adopt() has entered must go again: importlib would take its __spec__, and load norch's module twice.
        sys.modules.pop(fullname, None)
        return ModuleSpec(fullname, _Alias(module), is_package=hasattr(module, "__path__"))

    def _torchvision(self, fullname: str) -> ModuleSpec | None:
        """norch.vision, unless the program brings a torchvision of its own: a folder on sys.path that is not one of
        Python's package folders. (An installed torchvision is compiled against PyTorch, and could not work.)"""
        if fullname == "torchvision":
            own = [p for p in sys.path if not any(part in _INSTALLED for part in p.split(os.sep))]
            found = PathFinder.find_spec(fullname, own)
            return found if found is not None and found.loader is not None else self._alias(fullname)
        package = sys.modules.get("torchvision")
        if package is not None and package.__name__ == "torchvision":
            return None
        return self._alias(fullname)
