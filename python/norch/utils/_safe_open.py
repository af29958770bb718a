"""safe_open: single tensors, or parts of them, of a safetensors file, without reading the others."""

from __future__ import annotations

import json
import math
import os
from typing import Any

import norch
from norch._C import Tensor

__all__ = ["SafetensorError", "safe_open"]

_MAX_HEADER = 100_000_000
_DTYPES = {
    "BOOL": "bool", "U8": "uint8", "U16": "uint16", "U32": "uint32", "U64": "uint64", "I8": "int8", "I16": "int16",
    "I32": "int32", "I64": "int64", "F16": "float16", "BF16": "bfloat16", "F32": "float32", "F64": "float64",
    "C64": "complex64", "C128": "complex128",
}  # fmt: skip


class SafetensorError(ValueError):
    """A file is damaged, a tensor is not in it, or the file is closed."""


class _Entry:
    """Where a tensor lies in the file, and what it is."""

    def __init__(self, name: str, value: Any, size: int) -> None:
        def check(condition: bool) -> None:
            if not condition:
                raise SafetensorError(f"the entry of tensor {name!r} is damaged")

        check(isinstance(value, dict) and {"dtype", "shape", "data_offsets"} <= value.keys())
        self.kind, self.shape, offsets = value["dtype"], value["shape"], value["data_offsets"]
        if self.kind not in _DTYPES:
            raise SafetensorError(f"tensor {name!r} has dtype {self.kind!r}, which norch does not have")
        self.dtype = getattr(norch, _DTYPES[self.kind])
        for numbers in (self.shape, offsets):
            check(isinstance(numbers, list) and all(type(n) is int and 0 <= n < 2**62 for n in numbers))
        check(len(offsets) == 2 and offsets[0] <= offsets[1] <= size and len(self.shape) <= 64)
        self.begin, self.end = offsets
        check(math.prod(self.shape) * self.dtype.itemsize == self.end - self.begin)


def _entries(text: bytes | bytearray, size: int) -> tuple[dict[str, _Entry], dict[str, str] | None]:
    """The checked contents of a header in front of `size` bytes of data."""
    try:
        header = json.loads(text)
    except (ValueError, RecursionError):
        raise SafetensorError("its header is not JSON") from None
    if not isinstance(header, dict):
        raise SafetensorError("its header is not an object")
    metadata = header.pop("__metadata__", None)
    if metadata is not None and not (isinstance(metadata, dict) and all(isinstance(v, str) for v in metadata.values())):
        raise SafetensorError("its metadata are not texts")
    entries = {name: _Entry(name, value, size) for name, value in header.items()}
    at = 0
    for e in sorted(entries.values(), key=lambda e: (e.begin, e.end)):
        if e.begin != at:
            raise SafetensorError(f"bytes {min(at, e.begin)} to {max(at, e.begin)} belong to no tensor, or to two")
        at = e.end
    if at != size:
        raise SafetensorError(f"the tensors take {at} bytes, but {size} follow the header")
    return entries, metadata


class _Slice:
    """A tensor of a file that is read when it is indexed: of its first dim only what the index takes."""

    def __init__(self, file: safe_open, name: str) -> None:
        self._file, self._name, self._entry = file, name, file._entry(name)

    def get_shape(self) -> list[int]:
        return list(self._entry.shape)

    def get_dtype(self) -> str:
        return self._entry.kind

    def __getitem__(self, key: Any) -> Any:
        shape = self._entry.shape
        first = key[0] if isinstance(key, tuple) and key else key
        if not shape or not isinstance(first, slice):
            return self._file._finish(self._file._read(self._name)[key])
        start, stop, step = first.indices(shape[0])
        if step <= 0:
            raise SafetensorError(f"a slice's step must be positive, got {step}")
        rows = self._file._read(self._name, start, max(start, stop))[::step]
        rest = key[1:] if isinstance(key, tuple) else ()
        return self._file._finish(rows[(slice(None), *rest)] if rest else rows)


class safe_open:
    """Opens a file of `save_file`; its tensors are read when they are asked for. As the safetensors package's class.

    framework: "pt" for tensors on `device`, "np" for NumPy arrays. A damaged file raises SafetensorError, a ValueError,
    and so does a name that is not there.

        >>> import os, tempfile
        >>> path = os.path.join(tempfile.mkdtemp(), "weights.safetensors")
        >>> norch.utils.safetensors.save_file({"w": norch.eye(2)}, path)
        >>> with norch.utils.safetensors.safe_open(path, framework="pt") as file:
        ...     print(file.keys(), file.get_slice("w")[1:])
        ['w'] tensor([[0., 1.]])
    """

    def __init__(self, filename: Any, framework: str = "pt", device: Any = "cpu", *, backend: str = "mmap") -> None:
        if framework not in ("pt", "torch", "pytorch", "np", "numpy"):
            raise SafetensorError(f"framework {framework} is invalid: norch makes its own tensors (pt), or NumPy's arrays (np)")
        self._arrays = framework in ("np", "numpy")
        self._device = norch.device(device) if not isinstance(device, int) else norch.device("cuda", device)
        self._handle: int | None = os.open(os.fspath(filename), os.O_RDONLY)
        try:
            size = os.fstat(self._handle).st_size
            length = int.from_bytes(self._bytes(0, 8), "little") if size >= 8 else size
            if size < 8 or length > min(_MAX_HEADER, size - 8):
                raise SafetensorError("its header is too short, or longer than the file")
            self._data = 8 + length
            self._entries, self._metadata = _entries(self._bytes(8, length), size - self._data)
        except BaseException as e:
            self.__exit__()
            if isinstance(e, SafetensorError):
                raise type(e)(f"safe_open: {filename}: {e}") from None
            raise

    def __enter__(self) -> safe_open:
        return self

    def __exit__(self, *exc: Any) -> None:
        if self._handle is not None:
            os.close(self._handle)
            self._handle = None

    def __del__(self) -> None:
        if getattr(self, "_handle", None) is not None:
            self.__exit__()

    def keys(self) -> list[str]:
        """The names, sorted."""
        return sorted(self._entries)

    def offset_keys(self) -> list[str]:
        """The names in the order of their place in the file."""
        return sorted(self._entries, key=lambda name: (self._entries[name].begin, name))

    def metadata(self) -> dict[str, str] | None:
        """The texts that were saved beside the tensors, if any."""
        return self._metadata

    def get_tensor(self, name: str) -> Any:
        """The tensor of that name."""
        return self._finish(self._read(name))

    def get_tensors(self) -> dict[str, Any]:
        """All tensors by name."""
        return {name: self.get_tensor(name) for name in self.keys()}

    def get_slice(self, name: str) -> Any:
        """The tensor of that name, to be read in parts: has get_shape(), get_dtype() and [...]."""
        return _Slice(self, name)

    def _entry(self, name: str) -> _Entry:
        if name not in self._entries:
            raise SafetensorError(f"File does not contain tensor {name}")
        return self._entries[name]

    def _bytes(self, begin: int, count: int) -> bytearray:
        if self._handle is None:
            raise SafetensorError("File is not open")
        parts = bytearray()
        while len(parts) < count:
            part = os.pread(self._handle, min(count - len(parts), 1 << 28), begin + len(parts))
            if not part:
                raise SafetensorError("the file ends too early")
            parts += part
        return parts

    def _read(self, name: str, start: int = 0, stop: int | None = None) -> Tensor:
        """Rows start to stop of a tensor, or all of it."""
        e = self._entry(name)
        shape = [*e.shape] if stop is None else [stop - start, *e.shape[1:]]
        row = math.prod(e.shape[1:]) * e.dtype.itemsize
        count = math.prod(shape) * e.dtype.itemsize
        if count == 0:
            return norch.empty(shape, dtype=e.dtype)
        flat = norch.frombuffer(self._bytes(self._data + e.begin + start * row, count), dtype=norch.uint8)
        return flat.view(e.dtype).reshape(shape)

    def _finish(self, t: Tensor) -> Any:
        return t.numpy() if self._arrays else t.to(self._device)
