"""What sparse tensors of all layouts have in common: values, sizes, and autograd through the values."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import norch
from norch import _C
from norch._C import Tensor

__all__ = ["Base", "add_rows", "unsupported"]

T = TypeVar("T", bound="Base")


def unsupported(name: str) -> NoReturn:
    """Raises the error of an operation that sparse tensors lack."""
    raise NotImplementedError(f"{name}: not implemented for sparse tensors; call .to_dense() first")


def add_rows(n: int, index: Tensor, rows: Tensor) -> Tensor:
    """out[n, ...] = 0, then out[index[i]] += rows[i]."""
    if rows.dtype == norch.bool:
        return add_rows(n, index, rows.to(norch.int64)) != 0
    return norch.zeros(n, *rows.shape[1:], dtype=rows.dtype, device=rows.device).index_add(0, index, rows)


class Base(Tensor if TYPE_CHECKING else object):  # type: ignore[misc]
    """isinstance(x, norch.Tensor) holds. requires_grad, grad and grad_fn are those of the values. A subclass has `layout`
    and `_with`."""

    _v: Tensor
    _size: norch.Size

    # isinstance() asks this too: to a program a sparse tensor is a Tensor. To C++ it is none, so that no
    # operation takes it for a dense one.
    @property
    def __class__(self) -> Any:
        return Tensor

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("the class of a sparse tensor can't be changed")

    def _with(self: T, values: Tensor) -> T:
        """The same coordinates with other values."""
        raise NotImplementedError

    # -- what it is -----------------------------------------------------------------------------------

    shape = property(lambda self: self._size)
    ndim = property(lambda self: len(self._size))
    dtype = property(lambda self: self._v.dtype)
    device = property(lambda self: self._v.device)
    is_cuda = property(lambda self: self._v.is_cuda)
    is_cpu = property(lambda self: self._v.is_cpu)
    is_leaf = property(lambda self: self._v.is_leaf)
    grad_fn = property(lambda self: self._v.grad_fn)
    data = property(lambda self: self.detach())

    def size(self, dim: int | None = None) -> Any:
        return self._size if dim is None else self._size[dim]

    def dim(self) -> int:
        return len(self._size)

    ndimension = dim

    def numel(self) -> int:
        return math.prod(self._size)

    nelement = numel

    def element_size(self) -> int:
        return self._v.element_size()

    def __len__(self) -> int:
        if not self._size:
            raise TypeError("len() of a 0-d tensor")
        return self._size[0]

    def is_floating_point(self) -> bool:
        return self._v.is_floating_point()

    def is_complex(self) -> bool:
        return self._v.is_complex()

    def is_contiguous(self, memory_format: Any = None) -> bool:
        return False

    def is_same_size(self, other: Tensor) -> bool:
        return self._size == other.shape

    def dense_dim(self) -> int:
        """How many dims the values have each."""
        return self._v.dim() - 1

    def _nnz(self) -> int:
        return self._v.shape[0]

    # -- autograd -------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._v.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._v.requires_grad_(value)

    def requires_grad_(self: T, requires_grad: bool = True) -> T:
        self._v.requires_grad_(requires_grad)
        return self

    @property
    def grad(self: T) -> T | None:
        """The gradient, at the same coordinates."""
        return None if self._v.grad is None else self._with(self._v.grad)

    @grad.setter
    def grad(self: T, value: T | None) -> None:
        self._v.grad = None if value is None else value._v

    def detach(self: T) -> T:
        return self._with(self._v.detach())

    def detach_(self: T) -> T:
        self._v = self._v.detach()
        return self

    # -- other forms ----------------------------------------------------------------------------------

    def cpu(self: T) -> T:
        return self.to("cpu")

    def cuda(self: T, device: Any = None, non_blocking: bool = False, **options: Any) -> T:
        return self.to("cuda" if device is None else norch.device(device))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        if dtype is None:
            package = _C._package_name() + (".cuda" if self.is_cuda else "")
            return f"{package}.sparse.{self._v.type().rpartition('.')[2]}"
        return self.to(self._v.detach().type(dtype).dtype)

    def type_as(self: T, other: Tensor) -> T:
        return self.to(other.device, other.dtype)

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise TypeError(
            f"can't convert {self.layout._written} layout tensor to numpy. Use Tensor.to_dense() first."
        )

    __array__ = numpy

    def item(self) -> Any:
        if self.numel() != 1:
            raise RuntimeError(f"a Tensor with {self.numel()} elements cannot be converted to Scalar")
        return self.to_dense().item()

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from ._print import text_of

        return text_of(self)

    __str__ = __repr__

    def __format__(self, spec: str) -> str:
        return object.__format__(self, spec)

    def __copy__(self: T) -> T:
        return self._with(self._v)

    # -- in place: of the values, which may be shared (`p.grad` is made anew each time, on the same values) ----

    def mul_(self: T, other: Any) -> T:
        if isinstance(other, Tensor) and other.dim() > 0:
            unsupported("mul_ by a tensor")
        self._v.mul_(other)
        return self

    def div_(self: T, other: Any) -> T:
        if isinstance(other, Tensor) and other.dim() > 0:
            raise RuntimeError(
                f"Sparse division requires a scalar or zero-dim dense tensor divisor (got shape {list(other.shape)} for divisor)"
            )
        self._v.div_(other)
        return self

    def neg_(self: T) -> T:
        self._v.neg_()
        return self

    # -- what it lacks --------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not callable(getattr(Tensor, name, None)):
            raise AttributeError(f"a sparse tensor has no attribute '{name}'")

        def method(*args: Any, **kwargs: Any) -> NoReturn:
            unsupported(name)

        return method

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    def __bool__(self) -> bool:
        if self.numel() != 1:
            what = "no values" if self.numel() == 0 else "more than one value"
            raise RuntimeError(f"Boolean value of Tensor with {what} is ambiguous")
        return bool(self.item())

    __hash__ = object.__hash__


def _refuse(name: str) -> Any:
    return lambda self, *args: unsupported(name)


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "mod", "floordiv", "and", "or", "xor", "setitem", "float", "int"):
    setattr(Base, f"__{_name}__", _refuse(f"__{_name}__"))
for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip
    setattr(Base, _name, lambda self, _dtype=getattr(norch, _dtype): self.to(_dtype))
for _name in ("crow_indices", "col_indices", "ccol_indices", "row_indices", "coalesce", "is_coalesced", "indices"):
    setattr(Base, _name, getattr(Tensor, _name))  # each raises, and names the layout
