"""A writer for the pickles in checkpoint files. Tensors, dtypes, sizes and devices carry the names of torch's
classes, which it never imports, so that `torch.load(weights_only=True)` reads the file too."""

from __future__ import annotations

import io
import pickle
from collections import OrderedDict
from typing import Any, Callable

import numpy as np

import norch
from norch._C import Parameter, Tensor
from norch.nn.modules._registry import Registry
from norch.nn.parameter import is_lazy

from ._rebuild import STORAGE_DTYPES
from ._safe_globals import function_name

__all__ = ["dumps", "storage_count"]

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

    def __init__(self, file: Any, storage: Callable[[Tensor], tuple[str, int, int]], id_end: tuple) -> None:
        super().__init__(file, protocol=2)
        self._storage, self._id_end = storage, id_end

    def persistent_id(self, obj: Any) -> Any:
        return tuple(obj) if type(obj) is _StorageId else None

    def _save_name(self, obj: _Name) -> None:
        self.write(pickle.GLOBAL + f"{obj.module}\n{obj.name}\n".encode())  # type: ignore[attr-defined]
        self.memoize(obj)  # type: ignore[attr-defined]

    dispatch[_Name] = _save_name  # type: ignore[assignment]

    def reducer_override(self, obj: Any) -> Any:
        if isinstance(obj, Tensor):
            if is_lazy(obj):  # the class and its arguments
                kind, args = obj.__reduce_ex__(2)
                return _name("torch.nn.parameter." + kind.__name__), args
            return self._reduce_tensor(obj)
        if isinstance(obj, norch.layout):
            return _name("torch.serialization._get_layout"), (f"torch.{repr(obj).rpartition('.')[2]}",)
        if isinstance(obj, norch.Size):
            return _name("torch.Size"), (tuple(obj),)
        if isinstance(obj, norch.device):
            return _name("torch.device"), ((obj.type,) if obj.index is None else (obj.type, obj.index))
        return NotImplemented

    def _reduce_tensor(self, t: Tensor) -> tuple:
        if t.is_sparse:
            parts = (t._indices(), t._values(), t.shape, t.is_coalesced())
            return _name("torch._utils._rebuild_sparse_tensor"), (t.layout, parts)
        if t.layout is not norch.strided:
            starts, others, values, size, _ = t.__reduce_ex__(2)[1]
            return _name("torch._utils._rebuild_sparse_tensor"), (t.layout, (starts, others, values, norch.Size(size)))
        state = dict(t.__dict__)
        if isinstance(t, Parameter):
            args: tuple = (t.detach(), t.requires_grad, OrderedDict())
            if state:
                return _name("torch._utils._rebuild_parameter_with_state"), (*args, state)
            return _name("torch._utils._rebuild_parameter"), args
        function, args = self._rebuild(t)
        if type(t) is Tensor and not state:
            return function, args
        kind = _name("torch.Tensor") if type(t) is Tensor else type(t)
        return _name("torch._tensor._rebuild_from_type_v2"), (function, kind, args, state)

    def _rebuild(self, t: Tensor) -> tuple:
        name = _name_of(t.dtype)
        key, numel, offset = self._storage(t)
        location = "cpu" if t.device.type == "cpu" else f"{t.device.type}:{t.device.index or 0}"
        kind = _name("torch." + _STORAGE_NAMES.get(name, "storage.UntypedStorage"))
        storage = _StorageId(("storage", kind, key, location, storage_count(t.dtype, numel), *self._id_end))
        args: tuple[Any, ...] = (storage, offset, tuple(t.shape), tuple(t.stride()), t.requires_grad, OrderedDict())
        if name in _STORAGE_NAMES:
            return _name("torch._utils._rebuild_tensor_v2"), args
        return _name("torch._utils._rebuild_tensor_v3"), (*args, t.dtype)

    def save(self, obj: Any, save_persistent_id: bool = True) -> None:
        if isinstance(obj, norch.dtype):
            obj = _name(f"torch.{_name_of(obj)}")
        elif (path := function_name(obj)) is not None:
            obj = _name(path)
        elif isinstance(obj, Registry):
            obj = dict(obj)  # what the module that owns it makes one of again
        elif isinstance(obj, (np.number, np.bool_)):
            obj = obj.item()
        super().save(obj, save_persistent_id)  # type: ignore[misc]


def _name_of(dtype: Any) -> str:
    return str(dtype).rpartition(".")[2]


def storage_count(dtype: Any, numel: int) -> int:
    """How many elements a file counts in a storage of `numel` elements: bytes, where the dtype has no
    storage class."""
    return numel if _name_of(dtype) in _STORAGE_NAMES else numel * dtype.itemsize


def dumps(obj: Any, storage: Callable[[Tensor], tuple[str, int, int]], id_end: tuple = ()) -> bytes:
    """The pickle of `obj`. storage(tensor) takes note of a tensor's memory and returns its key, its
    number of elements, and the tensor's offset in it; id_end: what else the id of a storage says."""
    stream = io.BytesIO()
    _Pickler(stream, storage, id_end).dump(obj)
    return stream.getvalue()
