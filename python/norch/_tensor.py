"""The parts of Tensor that are plain Python: text, copies, pickling, NumPy."""

from __future__ import annotations

import copyreg
import weakref
from typing import Any

from norch import _C
from norch._C import Tensor


def _repr(self: Tensor) -> str:
    return self._to_string()


def _parameter_repr(self: _C.Parameter) -> str:
    return "Parameter containing:\n" + self._to_string()


def _format(self: Tensor, spec: str) -> str:
    if self.dim() == 0 and (type(self) is Tensor or spec):
        return format(self.item(), spec)
    return object.__format__(self, spec)


def _iter(self: Tensor):
    if self.dim() == 0:
        raise TypeError("iteration over a 0-d tensor")
    return iter(self.unbind(0))


def _reversed(self: Tensor) -> Tensor:
    return self if self.dim() == 0 else self.flip(0)


def _contains(self: Tensor, element: Any) -> bool:
    if isinstance(element, (Tensor, int, float, bool, complex)):
        return bool((self == element).any().item())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


def _numpy(self: Tensor, *, force: bool = False):
    """numpy(*, force=False) -> numpy.ndarray

    An array on this tensor's memory. With `force`, a copy where that is not possible: on the GPU, or with
    requires_grad."""
    import numpy

    return numpy.asarray(memoryview(self.detach().cpu() if force else self))  # type: ignore[arg-type]


def _array(self: Tensor, dtype=None, copy=None):
    import numpy

    return numpy.array(self.numpy(), dtype=dtype, copy=bool(copy)) if copy else numpy.asarray(self.numpy(), dtype=dtype)


def _rebuild(kind: type, data: bytes, dtype, shape, requires_grad: bool, device: str, state: dict | None):
    """What a pickled tensor is rebuilt with: the bytes of its elements in row-major order."""
    flat = _C._from_bytes(data, dtype, shape)
    tensor = flat if device == "cpu" else flat.to(device)
    if issubclass(kind, _C.Parameter):
        tensor = kind(tensor, requires_grad)
    else:
        if kind is not Tensor:
            tensor = _C._as_subclass(tensor, kind)
        tensor.requires_grad_(requires_grad)
    if state:
        tensor.__dict__.update(state)
    return tensor


def reduce_alone(self: Tensor) -> tuple:
    """What a tensor is pickled to without the rest of the memory that it is a view of."""
    state = dict(self.__dict__) or None
    args = (type(self), self._to_bytes(), self.dtype, tuple(self.shape), self.requires_grad, str(self.device), state)
    return _rebuild, args


class _PickledStorage:
    """The memory of tensors that are pickled: one object while a pickler holds it, so that it is written once."""

    def __init__(self, t: Tensor) -> None:
        self.tensor = t.detach()

    def __reduce__(self) -> tuple:
        elements = self.tensor.untyped_storage().nbytes() // self.tensor.itemsize
        flat = self.tensor.as_strided((elements,), (1,), 0)
        return _rebuild, (Tensor, flat._to_bytes(), flat.dtype, (elements,), False, str(flat.device), None)


_pickled: weakref.WeakValueDictionary[tuple, _PickledStorage] = weakref.WeakValueDictionary()


def _rebuild_view(
    kind: type, storage: Tensor, dtype, shape: tuple, stride: tuple, offset: int, requires_grad: bool, state: dict | None
) -> Tensor:
    """What a pickled tensor is rebuilt with: a place in memory that others may share."""
    tensor = (storage if storage.dtype == dtype else storage.view(dtype)).as_strided(shape, stride, offset).data
    if issubclass(kind, _C.Parameter):
        tensor = kind(tensor, requires_grad)
    else:
        tensor = (tensor if kind is Tensor else _C._as_subclass(tensor, kind)).requires_grad_(requires_grad)
    if state:
        tensor.__dict__.update(state)
    return tensor


def _reduce(self: Tensor, protocol):
    storage = self.untyped_storage()
    if self.numel() == 0 or storage.nbytes() % self.itemsize:
        return reduce_alone(self)
    key = (storage.data_ptr(), str(self.device))
    held = _pickled.get(key)
    if held is None:
        held = _pickled[key] = _PickledStorage(self)
    state = dict(self.__dict__) or None
    place = (self.dtype, tuple(self.shape), self.stride(), self.storage_offset())
    return _rebuild_view, (type(self), held, *place, self.requires_grad, state)


def _copied_storage(self: Tensor, memo: dict) -> Tensor:
    """The same place in a copy of the memory, of which there is one for all tensors that share it."""
    storage = self.untyped_storage()
    if storage.nbytes() == 0 or self.numel() == 0:
        return self.detach().clone()
    copies = memo.setdefault("norch storages", {})
    key = (storage.data_ptr(), str(storage.device))
    elements = storage.nbytes() // self.itemsize
    if key not in copies:
        memo.setdefault("norch originals", []).append(self)  # whose addresses stay theirs meanwhile
        whole = self.is_contiguous() and self.numel() == elements
        flat = (self.detach() if whole else self.detach().as_strided((elements,), (1,), 0)).clone()
        copies[key] = flat
        if whole:
            return flat.data
    flat = copies[key]
    if flat.dtype != self.dtype:
        flat = flat.reshape(-1).view(self.dtype)
    return flat.as_strided(tuple(self.shape), self.stride(), self.storage_offset()).data


def _deepcopy(self: Tensor, memo: dict) -> Tensor:
    if not self.is_leaf:
        raise RuntimeError(
            "Only Tensors created explicitly by the user (graph leaves) support the deepcopy protocol at the moment. "
            "If you were attempting to deepcopy a module, this may be because of a norch.nn.utils.weight_norm usage."
        )
    if id(self) in memo:
        return memo[id(self)]
    import copy

    data = _copied_storage(self, memo)
    is_parameter = isinstance(self, _C.Parameter)
    if is_parameter:
        result = type(self)(data, self.requires_grad)
    else:
        result = data if type(self) is Tensor else _C._as_subclass(data, type(self))  # type: ignore[assignment]
        result.requires_grad_(self.requires_grad)
    memo[id(self)] = result
    if self.grad is not None and not is_parameter:  # a parameter's copy is a new one, as in PyTorch
        result.grad = copy.deepcopy(self.grad, memo)
    if self.__dict__:
        result.__dict__.update(copy.deepcopy(self.__dict__, memo))
    return result


def _copy(self: Tensor) -> Tensor:
    """copy.copy: another tensor object on the same memory."""
    if isinstance(self, _C.Parameter):
        result = type(self)(self.detach(), self.requires_grad)
    else:
        result = self.detach() if type(self) is Tensor else _C._as_subclass(self.detach(), type(self))  # type: ignore[assignment]
        result.requires_grad_(self.requires_grad)
    result.__dict__.update(self.__dict__)
    return result


class _HookHandle:
    """Removes one hook of a tensor."""

    def __init__(self, tensor: Tensor, id: int) -> None:
        self._tensor, self._id = tensor, id

    def remove(self) -> None:
        if self._tensor is not None:
            self._tensor._remove_hook(self._id)
            self._tensor = None  # type: ignore[assignment]

    def __enter__(self) -> "_HookHandle":
        return self

    def __exit__(self, *exc: Any) -> None:
        self.remove()


def _register_hook(self: Tensor, hook) -> _HookHandle:
    """register_hook(hook) -> handle

    `hook(grad)` runs whenever the gradient of this tensor is computed; it may return a replacement."""
    return _HookHandle(self, self._add_hook(hook))


def _register_post_accumulate_grad_hook(self: Tensor, hook) -> _HookHandle:
    """register_post_accumulate_grad_hook(hook) -> handle

    `hook(tensor)` runs after a gradient was added to this leaf's .grad."""

    def call(leaf: Tensor) -> None:
        hook(leaf)

    return _HookHandle(self, self._add_post_accumulate_hook(call))


def is_tensor(obj: Any) -> bool:
    """is_tensor(obj) -> bool

    >>> norch.is_tensor([1, 2])
    False
    """
    return isinstance(obj, Tensor)


def as_tensor(data: Any, dtype=None, device=None) -> Tensor:
    """as_tensor(data, dtype=None, device=None) -> Tensor

    `data` as a tensor, without a copy where it is one already or a NumPy array of the right dtype on the CPU.

    >>> norch.as_tensor([1, 2])
    tensor([1, 2])
    """
    if isinstance(data, Tensor):
        return data.to(device=device, dtype=dtype)
    if hasattr(data, "__array_interface__") and getattr(data, "ndim", 0) > 0:
        return _C.from_numpy(data).to(device=device, dtype=dtype)
    return _C.tensor(data, dtype=dtype, device=device)


def set_printoptions(
    precision=None, threshold=None, edgeitems=None, linewidth=None, profile=None, sci_mode=None
) -> None:
    """Sets how tensors are printed; what is None stays. `profile` is "default", "short" or "full"."""
    options = list(_C._print_options())
    if profile is not None:
        profiles = {"default": (4, 1000, 3, 80), "short": (2, 1000, 2, 80), "full": (4, 2**62, 3, 80)}
        options[:4] = profiles[profile]
    for i, value in enumerate((precision, threshold, edgeitems, linewidth)):
        if value is not None:
            options[i] = 2**62 if value == float("inf") else int(value)
    options[4] = sci_mode
    _C._set_print_options(*options)


def _array_namespace(self: Tensor, *, api_version: str | None = None):
    """__array_namespace__(*, api_version=None) -> module

    norch.array_api, the functions of the Python array API standard."""
    from norch import array_api

    if api_version is not None and api_version not in ("2021.12", "2022.12", "2023.12", "2024.12"):
        raise ValueError(f"__array_namespace__: norch has the array API standard up to 2024.12, not {api_version}")
    return array_api


def _to_device(self: Tensor, device, /, *, stream=None) -> Tensor:
    """to_device(device, *, stream=None) -> Tensor

    The array API's name of to(device)."""
    return self.to(device)


def _array_wrap(self: Tensor, array: Any, context: Any = None, return_scalar: bool = False) -> Tensor:
    """What NumPy's functions of a tensor return: tensor * array and np.exp(tensor) are tensors. Bools become uint8, as in
    PyTorch."""
    import numpy

    array = numpy.asarray(array)
    return _C.from_numpy(array.astype("uint8") if array.dtype == bool else array)


for _name, _function in {
    "__array_namespace__": _array_namespace,
    "to_device": _to_device,
    "__repr__": _repr,
    "__str__": _repr,
    "__format__": _format,
    "__iter__": _iter,
    "__reversed__": _reversed,
    "__contains__": _contains,
    "__array__": _array,
    "__array_wrap__": _array_wrap,
    "__reduce_ex__": _reduce,
    "__deepcopy__": _deepcopy,
    "__copy__": _copy,
    "numpy": _numpy,
    "register_hook": _register_hook,
    "register_post_accumulate_grad_hook": _register_post_accumulate_grad_hook,
}.items():
    setattr(Tensor, _name, _function)
# Functions and methods of _C are copied and pickled by name, as Python's own are: modules hold them.
copyreg.pickle(type(_C.as_strided), lambda function: function.__name__)  # type: ignore[arg-type]
copyreg.pickle(type(Tensor.as_strided), lambda method: (getattr, (Tensor, method.__name__)))
# NumPy's operators leave the work to ours, and its functions give tensors.
Tensor.__array_priority__ = 1000  # type: ignore[attr-defined]
_C.Parameter.__repr__ = _C.Parameter.__str__ = _parameter_repr  # type: ignore[method-assign]

# Functions of the extension are copied and pickled by name, as Python's are (`copy.deepcopy` of a module that keeps
# `functional.gelu` in an attribute).
copyreg.pickle(type(_C.sum), lambda function: function.__qualname__)  # type: ignore[arg-type]
