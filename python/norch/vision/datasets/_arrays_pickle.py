"""Reads pickles of arrays, numbers, texts and containers without running what they ask for.

The CIFAR batches are such pickles, written by NumPy under Python 2. What a pickle names is never imported: the few
names that NumPy's arrays need stand for functions of this module, which check what they get.
"""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np


class _DType:
    """Stands for numpy.dtype: made from its text ("u1"), then given its byte order by its state."""

    def __init__(self, text: Any, *_: Any) -> None:
        self.text = text.decode() if isinstance(text, bytes) else text

    def __setstate__(self, state: Any) -> None:
        if isinstance(state, tuple) and len(state) > 1 and state[1] in ("<", ">", b"<", b">"):
            order = state[1] if isinstance(state[1], str) else state[1].decode()
            self.text = order + self.text.lstrip("<>=|")

    def numpy(self) -> np.dtype:
        dtype = np.dtype(self.text) if isinstance(self.text, str) else None
        if dtype is None or dtype.kind not in "biufc":
            raise pickle.UnpicklingError(f"arrays of {self.text!r} are not read")
        return dtype


class _Array:
    """Stands for numpy.ndarray while its state is not read yet; `value` is the array."""

    value: np.ndarray | None = None

    def __setstate__(self, state: Any) -> None:
        _, shape, dtype, fortran, data = state
        self.value = _from_buffer(data, dtype, shape, "F" if fortran else "C").value


def _from_buffer(data: Any, dtype: Any, shape: Any, order: str = "C", *_: Any) -> _Array:
    if isinstance(data, str):
        data = data.encode("latin1")
    if not isinstance(dtype, _DType) or not isinstance(data, (bytes, bytearray)):
        raise pickle.UnpicklingError("an array without its numbers")
    array = _Array()
    array.value = np.frombuffer(data, dtype.numpy()).reshape(shape, order="F" if order == "F" else "C").copy()
    return array


def _reconstruct(*_: Any) -> _Array:
    return _Array()


def _encode(text: Any, encoding: Any = "latin1") -> bytes:
    return str(text).encode("latin1")


_NAMES: dict[tuple[str, str], Any] = {
    ("numpy", "ndarray"): _Array,
    ("numpy", "dtype"): _DType,
    ("_codecs", "encode"): _encode,
    ("collections", "OrderedDict"): dict,
}
for _core in ("numpy.core", "numpy._core"):
    _NAMES[(_core + ".multiarray", "_reconstruct")] = _reconstruct
    _NAMES[(_core + ".numeric", "_frombuffer")] = _from_buffer


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        found = _NAMES.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which a file of images does not need")
        return found


def _arrays(value: Any) -> Any:
    if isinstance(value, _Array):
        if value.value is None:
            raise pickle.UnpicklingError("an array without its numbers")
        return value.value
    if isinstance(value, dict):
        return {key: _arrays(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_arrays(item) for item in value]
    return value


def load_arrays(path: Any) -> Any:
    """The dict (or list, array, ...) in the pickle `path`. Texts of Python 2 are read as Latin-1. A file that is
    damaged or asks for anything else than arrays raises RuntimeError."""
    try:
        with open(path, "rb") as file:
            return _arrays(_Unpickler(file, encoding="latin1").load())
    except OSError:
        raise
    except Exception as error:  # a damaged pickle may raise nearly anything
        raise RuntimeError(f"{path} is damaged, or not a file of images ({error})") from error
