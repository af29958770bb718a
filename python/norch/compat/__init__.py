"""Runs PyTorch programs on norch: `import torch` gives norch.

    python -m norch.compat train.py --epochs 3       # runs a program, unmodified
    python -m norch.compat -m package.module         # or a module
    python -m norch.compat --check train.py          # lists what it uses and norch lacks, without running it

or, as the first lines of a program or notebook:

    import norch.compat
    norch.compat.install()

docs/compat.md says what changes under compat and what does not.
"""

from __future__ import annotations

import sys
from typing import Any

import norch
from norch import _C

from ._finder import Finder, adopt, patch_safetensors
from ._torch_c import _parse_to, names
from ._version import TorchVersion

__all__ = ["TORCH_VERSION", "install", "installed"]

#: The PyTorch version that norch follows, as `torch.__version__` tells it under compat.
TORCH_VERSION = TorchVersion(f"2.13.0+norch{_C.__version__}")

_finder: Finder | None = None


def installed() -> bool:
    """Whether `import torch` gives norch in this process."""
    return _finder is not None


def install() -> Any:
    """Makes `import torch`, `torchvision` and their submodules resolve to norch, in this process and in those that
    multiprocessing starts from it. Returns norch; calling it again changes nothing.

    Both names are the same module objects. What else changes: names are printed as PyTorch's (`torch.float32`), an
    integer index of a 0-d tensor raises IndexError, the CPU draws PyTorch's random numbers, and `torch.__version__` is a
    PyTorch version.

    Raises RuntimeError where PyTorch itself has been imported already."""
    global _finder
    if _finder is not None:
        return norch
    loaded = sys.modules.get("torch")
    if loaded is not None:
        raise RuntimeError(
            "norch.compat.install: torch is imported already, from "
            f"{getattr(loaded, '__file__', None) or 'elsewhere'}; call install() before anything imports torch"
        )
    for name in [n for n in sys.modules if n == "torchvision" or n.startswith("torchvision.")]:
        del sys.modules[name]  # a half-imported one: without torch it could not work
    _finder = Finder()
    sys.meta_path.insert(0, _finder)
    _C._set_package_name("torch")
    _C._set_strict_scalar_index(True)
    _C._set_pytorch_ties(True)
    _C._random.use_pytorch_stream(True)
    for name, module in list(sys.modules.items()):
        if name == "norch" or name.startswith("norch."):
            adopt(module)
    for name, value in names().items():
        if not hasattr(_C, name):
            setattr(_C, name, value)
    if not hasattr(_C._nn, "_parse_to"):
        setattr(_C._nn, "_parse_to", _parse_to)
    if "safetensors" in sys.modules:
        patch_safetensors(sys.modules["safetensors"])
    norch.__version__ = TORCH_VERSION
    norch.version.__version__ = TORCH_VERSION
    _install_in_children()
    return norch


class _InstallWhenUnpickled:
    """Travels with what multiprocessing tells a new process, and installs norch.compat there on arrival."""

    def __reduce__(self) -> Any:
        return _install_quietly, ()


def _install_quietly() -> None:
    install()


def _install_in_children() -> None:
    """New processes (start methods spawn and forkserver) import the program anew, so they need `torch` too."""
    from multiprocessing import spawn

    original = spawn.get_preparation_data

    def get_preparation_data(name: str) -> dict[str, Any]:
        return {"norch.compat": _InstallWhenUnpickled(), **original(name)}

    spawn.get_preparation_data = get_preparation_data
