"""torch.utils.cpp_extension, so that programs which may build C++ or CUDA code can be imported. norch builds none: such
code is written against PyTorch's C++ headers, so every function that would build raises RuntimeError and says so. Programs
that fall back to plain operations where a build fails do so here too."""

from __future__ import annotations

import os
from typing import Any, NoReturn

__all__ = [
    "CUDA_HOME",
    "BuildExtension",
    "CUDAExtension",
    "CppExtension",
    "include_paths",
    "is_ninja_available",
    "library_paths",
    "load",
    "load_inline",
]

#: Where the CUDA toolkit lies, by its environment variables.
CUDA_HOME: str | None = os.environ.get("CUDA_HOME") or os.environ.get("CUDA_PATH")


def _refuse(what: str) -> NoReturn:
    raise RuntimeError(
        f"utils.cpp_extension.{what}: norch builds no extensions, since theirs is C++ code against PyTorch's headers; use the "
        "program's plain implementation of the operation, or write it as a norch.autograd.Function"
    )


def load(name: str, sources: Any = None, *_: Any, **__: Any) -> NoReturn:
    """Raises RuntimeError."""
    _refuse(f"load({name!r})")


def load_inline(name: str, cpp_sources: Any = None, *_: Any, **__: Any) -> NoReturn:
    """Raises RuntimeError."""
    _refuse(f"load_inline({name!r})")


def CppExtension(name: str, sources: Any = None, *_: Any, **__: Any) -> NoReturn:
    """Raises RuntimeError."""
    _refuse(f"CppExtension({name!r})")


def CUDAExtension(name: str, sources: Any = None, *_: Any, **__: Any) -> NoReturn:
    """Raises RuntimeError."""
    _refuse(f"CUDAExtension({name!r})")


class BuildExtension:
    """Can't be made: raises RuntimeError."""

    def __init__(self, *_: Any, **__: Any) -> None:
        _refuse("BuildExtension")

    @classmethod
    def with_options(cls, **_: Any) -> type[BuildExtension]:
        """The class itself."""
        return cls


def include_paths(*_: Any, **__: Any) -> list[str]:
    """An empty list: there are no headers of PyTorch's."""
    return []


def library_paths(*_: Any, **__: Any) -> list[str]:
    """An empty list."""
    return []


def is_ninja_available() -> bool:
    """False: there is nothing to build."""
    return False
