"""Weights in the safetensors format: tensors by name, and nothing that could run.

As in the safetensors package's `torch` module, which norch.compat replaces by this one: `save_file`,
`load_file`, `save`, `load`, `save_model`, `load_model`; and `safe_open`, which reads single tensors.
"""

from __future__ import annotations

import os
import tempfile
from typing import Any

import norch
from norch._C import Tensor, _io

from ._safe_open import SafetensorError as SafetensorError
from ._safe_open import safe_open as safe_open

__all__ = ["SafetensorError", "load", "load_file", "load_model", "safe_open", "save", "save_file", "save_model"]


def save_file(tensors: dict[str, Tensor], filename: Any, metadata: dict[str, str] | None = None) -> None:
    """Writes the tensors, and metadata texts, to a file, which is replaced only once it is complete.
    Tensors are written contiguously, so that ones sharing memory no longer do."""
    for name, t in tensors.items():
        if not isinstance(name, str) or not isinstance(t, Tensor):
            raise ValueError(
                f"save_file: expected a dict from names to tensors, but got {type(t).__name__} under {name!r}"
            )
    _io.save_safetensors({k: t.detach() for k, t in tensors.items()}, os.fspath(filename), metadata or {})


def load_file(filename: Any, device: Any = "cpu", *, backend: str = "mmap") -> dict[str, Tensor]:
    """Reads all tensors of a file. A damaged file raises ValueError. device: a name, a number of a GPU or a
    norch.device; `backend` is accepted: files are read, not mapped."""
    tensors = _io.load_safetensors(os.fspath(filename))
    place = norch.device("cuda", device) if isinstance(device, int) else device
    return {k: t.to(place) for k, t in tensors.items()}


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


def _shared_names(state: dict[str, Tensor]) -> dict[str, str]:
    """Names of tensors that an earlier one is too, in the order of names, to that one."""
    first: dict[tuple, str] = {}
    shared = {}
    for name in sorted(state):
        t = state[name]
        if t.numel() == 0:
            continue
        known = first.setdefault((str(t.device), t.data_ptr(), t.dtype, tuple(t.shape), tuple(t.stride())), name)
        if known != name:
            shared[name] = known
    return shared


def save_model(
    model: Any, filename: Any, metadata: dict[str, str] | None = None, force_contiguous: bool = True
) -> None:
    """Writes a module's state_dict. Of tied parameters one is written; the metadata says which the others are."""
    state = model.state_dict()
    shared = _shared_names(state)
    save_file({k: t for k, t in state.items() if k not in shared}, filename, {**(metadata or {}), **shared})


def load_model(model: Any, filename: Any, strict: bool = True, device: Any = "cpu") -> tuple[set[str], list[str]]:
    """Reads a file of `save_model` into a module. Returns the names that the file lacks and those that the
    module lacks, of which there are none unless strict=False (else RuntimeError). Tied parameters count as
    read with any of their names."""
    state = load_file(filename, device)
    names: dict[str, set[str]] = {}
    for name, kept in _shared_names(model.state_dict()).items():
        names.setdefault(kept, {kept}).add(name)
    result = model.load_state_dict(state, strict=False)
    missing, unexpected = set(result.missing_keys), list(result.unexpected_keys)
    for tied in names.values():
        if tied & state.keys():
            missing -= tied
    if strict and (missing or unexpected):
        parts = [f"    {what} key(s) in state_dict: {', '.join(map(repr, sorted(keys)))}" for what, keys in
                 (("Missing", missing), ("Unexpected", unexpected)) if keys]  # fmt: skip
        raise RuntimeError("\n".join([f"Error(s) in loading state_dict for {type(model).__name__}:", *parts]))
    return missing, unexpected
