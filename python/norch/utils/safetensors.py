"""Weights in the safetensors format: tensors by name, and nothing that could run.

As in the safetensors package's `torch` module: `save_file`, `load_file`, `save`, `load`.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

from norch._C import Tensor, _io

__all__ = ["load", "load_file", "save", "save_file"]


def save_file(tensors: dict[str, Tensor], filename: Any, metadata: dict[str, str] | None = None) -> None:
    """Writes the tensors, and metadata texts, to a file, which is replaced only once it is complete.
    Tensors are written contiguously, so that ones sharing memory no longer do."""
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, Tensor):
            raise ValueError(
                f"save_file: expected a dict from names to tensors, but got {type(t).__name__} under {name!r}"
            )
    _io.save_safetensors({k: t.detach() for k, t in tensors.items()}, os.fspath(filename), metadata or {})


def load_file(filename: Any, device: Any = "cpu") -> dict[str, Tensor]:
    """Reads all tensors of a file. A damaged file raises ValueError."""
    tensors = _io.load_safetensors(os.fspath(filename))
    return {k: t.to(device) for k, t in tensors.items()}


def save(tensors: dict[str, Tensor], metadata: dict[str, str] | None = None) -> bytes:
    """The bytes of a file of the tensors."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "tensors")
        save_file(tensors, path, metadata)
        with open(path, "rb") as file:
            return file.read()


def load(data: bytes) -> dict[str, Tensor]:
    """The tensors of a file's bytes."""
    return _io.parse_safetensors(data)
