"""PyTorch's types by dtype and device: FloatTensor, LongTensor, cuda.FloatTensor, ..., and what goes with them.

Each is a class that tensors of its dtype and device are instances of, and that makes such tensors:

    >>> norch.LongTensor([1, 2])
    tensor([1, 2])
    >>> isinstance(norch.zeros(2), norch.FloatTensor)
    True
    >>> norch.ones(2).type(norch.DoubleTensor).dtype
    norch.float64
"""

from __future__ import annotations

from typing import Any

import norch
from norch import _C
from norch._C import Tensor

__all__ = ["CPU_TYPES", "CUDA_TYPES", "NAMES", "set_default_tensor_type", "type_of"]

#: The name of each dtype's type.
NAMES = {
    _C.bool: "BoolTensor",
    _C.uint8: "ByteTensor",
    _C.int8: "CharTensor",
    _C.int16: "ShortTensor",
    _C.int32: "IntTensor",
    _C.int64: "LongTensor",
    _C.float16: "HalfTensor",
    _C.bfloat16: "BFloat16Tensor",
    _C.float32: "FloatTensor",
    _C.float64: "DoubleTensor",
    _C.complex64: "ComplexFloatTensor",
    _C.complex128: "ComplexDoubleTensor",
    _C.uint16: "UInt16Tensor",
    _C.uint32: "UInt32Tensor",
    _C.uint64: "UInt64Tensor",
}


class _TensorType(type):
    """The class of FloatTensor and its like."""

    dtype: Any
    is_cuda: bool

    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, Tensor) and instance.dtype == cls.dtype and instance.is_cuda == cls.is_cuda

    @property
    def __module__(cls) -> str:  # type: ignore[override]
        return _C._package_name() + (".cuda" if cls.is_cuda else "")

    def __repr__(cls) -> str:
        return f"<class '{cls.__module__}.{cls.__name__}'>"

    def __call__(cls, *args: Any, device: Any = None) -> Tensor:
        return _make(cls, args, device)


def _make(cls: Any, args: tuple, device: Any = None) -> Tensor:
    """FloatTensor() is empty, FloatTensor(2, 3) has those sizes, FloatTensor(data) holds the data."""
    name = f"{cls.__module__}.{cls.__name__}"
    kind = "cuda" if cls.is_cuda else "cpu"
    where = norch.device(kind if device is None else device)
    if where.type != kind:
        raise RuntimeError(f"legacy constructor expects device type: {kind} but device type: {where.type} was passed")
    if cls.is_cuda and not norch.cuda.is_available():
        raise TypeError(f"type {name} not available: {norch.cuda.why_unavailable()}")
    if not args:
        return norch.empty(0, dtype=cls.dtype, device=where)
    first = args[0]
    if len(args) == 1:
        if hasattr(first, "_elements"):  # a storage
            if first.dtype != cls.dtype:
                raise TypeError(f"expected a storage of {cls.dtype} for {name}, got one of {first.dtype}")
            return first._elements
        if isinstance(first, Tensor) and first.dim() > 0:
            if not isinstance(first, cls):
                raise TypeError(f"expected {name} (got {first.type()}); convert with .type({cls.__name__}) or .to(dtype)")
            return first.detach()
        if isinstance(first, norch.Size):
            return norch.empty(first, dtype=cls.dtype, device=where)
        if hasattr(first, "__len__") and not isinstance(first, (str, bytes)):
            return norch.tensor(first, dtype=cls.dtype, device=where)
    if all(hasattr(a, "__index__") and not isinstance(a, bool) for a in args):
        return norch.empty([a.__index__() for a in args], dtype=cls.dtype, device=where)
    if len(args) == 1:
        raise TypeError(f"new(): data must be a sequence (got {type(first).__name__})")
    raise TypeError(f"{name}: expected sizes (integers) or one sequence of data")


def _types(is_cuda: bool) -> dict[str, _TensorType]:
    doc = "Tensors of dtype {} on {}: makes them from sizes or from data, and isinstance() knows them."
    return {
        name: _TensorType(
            name, (), {"dtype": dtype, "is_cuda": is_cuda, "__doc__": doc.format(dtype, "the GPU" if is_cuda else "the CPU")}
        )
        for dtype, name in NAMES.items()
    }


CPU_TYPES = _types(False)
CUDA_TYPES = _types(True)

BoolTensor = CPU_TYPES["BoolTensor"]
ByteTensor = CPU_TYPES["ByteTensor"]
CharTensor = CPU_TYPES["CharTensor"]
ShortTensor = CPU_TYPES["ShortTensor"]
IntTensor = CPU_TYPES["IntTensor"]
LongTensor = CPU_TYPES["LongTensor"]
HalfTensor = CPU_TYPES["HalfTensor"]
BFloat16Tensor = CPU_TYPES["BFloat16Tensor"]
FloatTensor = CPU_TYPES["FloatTensor"]
DoubleTensor = CPU_TYPES["DoubleTensor"]
ComplexFloatTensor = CPU_TYPES["ComplexFloatTensor"]
ComplexDoubleTensor = CPU_TYPES["ComplexDoubleTensor"]


def type_of(kind: Any) -> tuple[Any, str | None]:
    """(dtype, device type) of a type, a dtype or a name such as 'torch.cuda.FloatTensor'. Of a dtype the device type
    is None: that of the tensor. Raises ValueError for unknown names."""
    if isinstance(kind, norch.dtype):
        return kind, None
    if isinstance(kind, _TensorType):
        return kind.dtype, "cuda" if kind.is_cuda else "cpu"
    if kind is Tensor:
        return norch.get_default_dtype(), norch.get_default_device().type
    if isinstance(kind, str):
        package, _, rest = kind.partition(".")
        types = CUDA_TYPES if rest.startswith("cuda.") else CPU_TYPES
        found = types.get(rest.rpartition(".")[2])
        if package in ("norch", "torch") and found is not None and rest.count(".") == (1 if types is CUDA_TYPES else 0):
            return found.dtype, "cuda" if types is CUDA_TYPES else "cpu"
        if rest == "Tensor":
            return norch.get_default_dtype(), norch.get_default_device().type
        dtype = getattr(norch, rest, None) if package in ("norch", "torch") else None
        if isinstance(dtype, norch.dtype):
            return dtype, None
        raise ValueError(f"invalid type: '{kind}'")
    if kind in (float, int, bool, complex):
        return norch.zeros(0, dtype=kind).dtype, None
    raise TypeError("dtype must be a type, str, or dtype object")


def set_default_tensor_type(t: Any) -> None:
    """Sets the dtype, and the device, of float tensors made without one, by a type or its name:
    set_default_tensor_type(norch.DoubleTensor). set_default_dtype and set_default_device say it more plainly."""
    dtype, device = type_of(t)
    if not dtype.is_floating_point:
        raise TypeError(f"only floating-point types are supported as the default type, got {dtype}")
    norch.set_default_dtype(dtype)
    norch.set_default_device(device or "cpu")


# -- methods of Tensor ------------------------------------------------------------------------------


def _type(self: Tensor, dtype: Any = None, non_blocking: bool = False, **_: Any) -> Any:
    """type(dtype=None, non_blocking=False) -> str or Tensor

    The name of the tensor's type, or the tensor as another type: a dtype, a type such as norch.LongTensor, or its name."""
    if dtype is None:
        return f"{_C._package_name()}.{'cuda.' if self.is_cuda else ''}{NAMES[self.dtype]}"
    to, device = type_of(dtype)
    if device is None or device == self.device.type:
        return self.to(to)
    return self.to(device, to)


def _type_as(self: Tensor, other: Tensor) -> Tensor:
    """type_as(other) -> Tensor

    This tensor with the dtype and on the device of `other`."""
    return self.to(other.device, other.dtype)


def _new(self: Tensor, *args: Any, device: Any = None) -> Tensor:
    """new(*sizes) or new(data) -> Tensor

    A tensor of this one's type, as its type's constructor makes it."""
    types = CUDA_TYPES if self.is_cuda else CPU_TYPES
    return _make(types[NAMES[self.dtype]], args, self.device if device is None else device)


def typename(obj: Any) -> str:
    """typename(obj) -> str

    The type of a tensor, as its type() tells it; of anything else the class's full name.

    >>> norch.typename(norch.tensor([1.]))
    'norch.FloatTensor'
    """
    if isinstance(obj, Tensor):
        return str(obj.type())
    of = obj if hasattr(obj, "__qualname__") else type(obj)
    module = getattr(of, "__module__", None)
    return of.__qualname__ if module in (None, "builtins", "__builtin__") else f"{module}.{of.__qualname__}"


for _name, _function in {"type": _type, "type_as": _type_as, "new": _new}.items():
    setattr(Tensor, _name, _function)
