"""torch.storage: the memory behind a tensor, as a sequence of its elements.

New programs use `Tensor.untyped_storage()`; `Tensor.storage()`, `FloatStorage` and their like are PyTorch's older form."""

from __future__ import annotations

from typing import Any, Iterator

import norch
from norch._C import Tensor, UntypedStorage
from norch._legacy import NAMES

__all__ = ["TypedStorage", "UntypedStorage", *(name.replace("Tensor", "Storage") for name in NAMES.values())]


def _whole(tensor: Tensor) -> Tensor:
    """Everything that lies in the tensor's memory, as a vector."""
    count = tensor.untyped_storage().nbytes() // tensor.element_size()
    return tensor.detach().as_strided((count,), (1,), 0)


class TypedStorage:
    """The elements in the memory that a tensor and its views share, in the order of that memory.

        >>> t = norch.arange(4.0).reshape(2, 2)
        >>> t.T.storage().tolist()
        [0.0, 1.0, 2.0, 3.0]

    `TypedStorage(n, dtype=...)` is new memory, `TypedStorage([1, 2], dtype=...)` holds those numbers."""

    _dtype: Any = None

    def __init__(self, *args: Any, dtype: Any = None, device: Any = None) -> None:
        dtype = type(self)._dtype or dtype or norch.get_default_dtype()
        if not args:
            self._elements = norch.empty(0, dtype=dtype, device=device)
        elif isinstance(args[0], int):
            self._elements = norch.empty(args[0], dtype=dtype, device=device)
        elif isinstance(args[0], TypedStorage):
            self._elements = args[0]._elements.to(dtype=dtype, device=device)
        else:
            self._elements = norch.tensor(list(args[0]), dtype=dtype, device=device)

    @classmethod
    def _of(cls, elements: Tensor) -> TypedStorage:
        made = cls.__new__(cls)
        made._elements = elements
        return made

    @classmethod
    def from_buffer(cls, buffer: Any, byte_order: str | None = None, *, count: int = -1, offset: int = 0, dtype: Any = None) -> Any:
        """A copy of the numbers in an object with the buffer protocol; `byte_order` ("native", "little" or "big") is
        needed where an element has several bytes."""
        dtype = cls._dtype or dtype or norch.get_default_dtype()
        if byte_order is None and dtype.itemsize > 1:
            raise TypeError(f"from_buffer: byte_order ('native', 'little' or 'big') is needed for elements of {dtype}")
        if byte_order == "big":
            import numpy

            swapped = numpy.frombuffer(bytes(buffer), f"V{dtype.itemsize}", count, offset).tobytes()
            size = dtype.itemsize
            buffer = b"".join(swapped[i : i + size][::-1] for i in range(0, len(swapped), size))
            count, offset = -1, 0
        return cls._of(norch.frombuffer(bytearray(buffer), dtype=dtype, count=count, offset=offset))

    @property
    def dtype(self) -> Any:
        """That of the elements."""
        return self._elements.dtype

    @property
    def device(self) -> Any:
        """Where the memory lies."""
        return self._elements.device

    @property
    def is_cuda(self) -> bool:
        """Whether it lies on a GPU."""
        return self._elements.is_cuda

    def size(self) -> int:
        """The number of elements."""
        return self._elements.numel()

    __len__ = size

    def element_size(self) -> int:
        """The bytes of an element."""
        return self._elements.element_size()

    def nbytes(self) -> int:
        """The bytes of all."""
        return self._elements.numel() * self._elements.element_size()

    def data_ptr(self) -> int:
        """The first element's address."""
        return self._elements.data_ptr()

    def untyped(self) -> UntypedStorage:
        """The same memory in bytes."""
        return self._elements.untyped_storage()

    def is_shared(self) -> bool:
        """Whether other processes see the memory."""
        return self._elements.is_shared()

    def __getitem__(self, index: Any) -> Any:
        if isinstance(index, slice):
            return type(self)._of(self._elements[index])
        return self._elements[index].item()

    def __setitem__(self, index: Any, value: Any) -> None:
        self._elements[index] = value

    def __iter__(self) -> Iterator[Any]:
        return iter(self.tolist())

    def __eq__(self, other: Any) -> bool:
        return isinstance(other, TypedStorage) and self.dtype == other.dtype and self.untyped() == other.untyped()

    def __hash__(self) -> int:
        return hash(self.untyped())

    def tolist(self) -> list:
        """The elements as Python's numbers."""
        return self._elements.tolist()

    def fill_(self, value: Any) -> TypedStorage:
        """Sets all elements."""
        self._elements.fill_(value)
        return self

    def copy_(self, source: TypedStorage, non_blocking: bool = False) -> TypedStorage:
        """Takes over the elements of another storage."""
        self._elements.copy_(source._elements)
        return self

    def clone(self) -> Any:
        """A copy."""
        return type(self)._of(self._elements.clone())

    def cpu(self) -> Any:
        """On the CPU: itself, or a copy."""
        return self if not self.is_cuda else type(self)._of(self._elements.cpu())

    def cuda(self, device: Any = None, non_blocking: bool = False) -> Any:
        """A copy on a GPU."""
        return type(self)._of(self._elements.cuda(device))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        """The name of its class; given a dtype, the elements as that."""
        if dtype is None:
            return f"{norch._C._package_name()}.{NAMES[self.dtype].replace('Tensor', 'Storage')}"
        return TypedStorage._of(self._elements.to(dtype))

    def __repr__(self) -> str:
        lines = [f" {value}" for value in self.tolist()]
        kind = f"{norch._C._package_name()}.storage.TypedStorage(dtype={self.dtype}, device={self.device})"
        return "\n".join([*lines, f"[{kind} of size {len(self)}]"])


class _StorageMeta(type):
    def __instancecheck__(cls, instance: Any) -> bool:
        return isinstance(instance, TypedStorage) and instance.dtype == cls._dtype  # type: ignore[attr-defined]


def _storage_class(name: str, dtype: Any) -> Any:
    doc = f"TypedStorage of {dtype}."
    return _StorageMeta(name, (TypedStorage,), {"__doc__": doc, "_dtype": dtype, "__module__": "norch"})


for _dtype, _name in NAMES.items():
    _name = _name.replace("Tensor", "Storage")
    globals()[_name] = _storage_class(_name, _dtype)


def _storage(self: Tensor) -> TypedStorage:
    """Tensor.storage()"""
    return TypedStorage._of(_whole(self))
