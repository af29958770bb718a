"""A writer for the pickles in checkpoint files: the classes that it names are torch's, which it never
imports, so that `torch.load(weights_only=True)` reads the file too."""

from __future__ import annotations

import io
import pickle
from collections import Counter, OrderedDict
from typing import Any, Callable

import norch
from norch._C import Parameter, Tensor

from ._unpickler import STORAGE_DTYPES

__all__ = ["dumps"]

_STORAGE_NAMES = {dtype: name for name, dtype in reversed(STORAGE_DTYPES.items())}


class _Name:
    """A global of the file, such as torch.FloatStorage; callable because pickle asks for it."""

    def __init__(self, module: str, name: str) -> None:
        self.module, self.name = module, name

    def __call__(self) -> None:
        raise TypeError(f"{self.module}.{self.name} is only a name")


_names: dict[str, _Name] = {}


def _name(path: str) -> _Name:
    if path not in _names:
        _names[path] = _Name(*path.rsplit(".", 1))
    return _names[path]


class _StorageId(tuple):
    """What stands for a storage in the pickle."""


# The Python pickler, since the C one insists on importing what it names.
class _Pickler(pickle._Pickler):  # type: ignore[name-defined]
    dispatch = dict(pickle._Pickler.dispatch)  # type: ignore[attr-defined]

    def __init__(self, file: Any, storage: Callable[[Tensor], tuple[str, int, int]]) -> None:
        super().__init__(file, protocol=2)
        self._storage = storage

    def persistent_id(self, obj: Any) -> Any:
        return tuple(obj) if type(obj) is _StorageId else None

    def _save_name(self, obj: _Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    dispatch[_Name] = _save_name  # type: ignore[assignment]

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Parameter):
            return _name("torch._utils._rebuild_parameter"), (obj.detach(), obj.requires_grad, OrderedDict())
        if isinstance(obj, Tensor):
            return self._reduce_tensor(obj)
        if isinstance(obj, norch.Size):
            return _name("torch.Size"), (tuple(obj),)
        if isinstance(obj, norch.device):
            return _name("torch.device"), ((obj.type,) if obj.index is None else (obj.type, obj.index))
        if type(obj) in _PLAIN:
            return NotImplemented
        raise pickle.PicklingError(
            f"save: cannot store a {type(obj).__module__}.{type(obj).__qualname__}; norch.save stores tensors, numbers, "
            "texts, bytes, lists, tuples, dicts and sets. Of a module or an optimizer, save its state_dict()"
        )

    def _reduce_tensor(self, t: Tensor) -> tuple:
        dtype = str(t.dtype).rpartition(".")[2]
        key, numel, offset = self._storage(t)
        location = "cpu" if t.device.type == "cpu" else f"{t.device.type}:{t.device.index or 0}"
        typed = dtype in _STORAGE_NAMES
        kind, count = (_STORAGE_NAMES[dtype], numel) if typed else ("UntypedStorage", numel * t.itemsize)
        storage = _StorageId(("storage", _name(f"torch.{kind}"), key, location, count))
        if t.requires_grad and not t.is_leaf:
            raise pickle.PicklingError("save: a tensor that is not a leaf requires grad; save its detach()")
        args: tuple = (storage, offset, tuple(t.shape), tuple(t.stride()), t.requires_grad, OrderedDict())
        if typed:
            return _name("torch._utils._rebuild_tensor_v2"), args
        return _name("torch._utils._rebuild_tensor_v3"), (*args, t.dtype)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, norch.dtype):
            obj = _name(f"torch.{str(obj).rpartition('.')[2]}")
        elif type(obj).__module__ == "numpy" and hasattr(obj, "item") and getattr(obj, "ndim", 1) == 0:
            obj = obj.item()  # NumPy's scalars are numbers
        super().save(obj, save_persistent_id)  # type: ignore[misc]


_PLAIN = {type(None), bool, int, float, complex, str, bytes, bytearray, list, tuple, dict, set, OrderedDict, Counter}
_PLAIN |= {_Name, type, type(len)}  # `type` and functions: what the reductions of set, complex, bytes name


def dumps(obj: Any, storage: Callable[[Tensor], tuple[str, int, int]]) -> bytes:
    """The pickle of `obj`. storage(tensor) takes note of a tensor's memory and returns its key, its
    number of elements, and the tensor's offset in it."""
    stream = io.BytesIO()
    _Pickler(stream, storage).dump(obj)
    return stream.getvalue()
