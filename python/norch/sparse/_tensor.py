"""SparseTensor: coordinates, values and sizes."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, NoReturn

import norch
from norch import _C
from norch._C import Tensor
from norch._layout import sparse_coo

__all__ = ["SparseTensor", "add_rows", "pack", "unsupported"]


def unsupported(name: str) -> NoReturn:
    """Raises the error of an operation that sparse tensors lack."""
    raise NotImplementedError(f"{name}: not implemented for sparse tensors; call .to_dense() first")


def pack(tensors: tuple) -> tuple[tuple, Any]:
    """The dense tensors that these (None, dense or sparse) are made of, and what puts them together again."""
    parts: list = []
    makers: list = []
    for t in tensors:
        at = len(parts)
        if type(t) is SparseTensor:
            parts += [t._i, t._v]
            size, coalesced = t._size, t._coalesced
            makers.append(lambda p, at=at, rest=(size, coalesced): SparseTensor(p[at], p[at + 1], *rest))
        else:
            parts.append(t)
            makers.append(lambda p, at=at: p[at])
    return tuple(parts), lambda p: tuple(make(p) for make in makers)


def add_rows(n: int, index: Tensor, rows: Tensor) -> Tensor:
    """out[n, ...] = 0, then out[index[i]] += rows[i]."""
    if rows.dtype == norch.bool:
        return add_rows(n, index, rows.to(norch.int64)) != 0
    return norch.zeros(n, *rows.shape[1:], dtype=rows.dtype, device=rows.device).index_add(0, index, rows)


class SparseTensor(Tensor if TYPE_CHECKING else object):  # type: ignore[misc]
    """A tensor of layout norch.sparse_coo, made by `norch.sparse_coo_tensor` or `to_sparse`.

    isinstance(x, norch.Tensor) holds. Coordinates may appear several times, and then stand for the sum of
    their values, until `coalesce()` adds those up and sorts. requires_grad, grad and grad_fn are those of the
    values."""

    def __init__(self, indices: Tensor, values: Tensor, size: Any, coalesced: bool = False) -> None:
        self._i, self._v, self._size = indices, values, norch.Size(size)
        self._coalesced = coalesced

    # isinstance() asks this too: to a program a sparse tensor is a Tensor. To C++ it is none, so that no
    # operation takes it for a dense one.
    @property
    def __class__(self) -> Any:
        return Tensor

    @__class__.setter
    def __class__(self, value: Any) -> None:
        raise TypeError("the class of a sparse tensor can't be changed")

    # -- what it is -----------------------------------------------------------------------------------

    shape = property(lambda self: self._size)
    ndim = property(lambda self: len(self._size))
    dtype = property(lambda self: self._v.dtype)
    device = property(lambda self: self._v.device)
    layout = property(lambda self: sparse_coo)
    is_sparse = property(lambda self: True)
    is_sparse_csr = property(lambda self: False)
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

    def sparse_dim(self) -> int:
        """How many dims the coordinates are for."""
        return self._i.shape[0]

    def dense_dim(self) -> int:
        """How many dims the values have each."""
        return self._v.dim() - 1

    def _nnz(self) -> int:
        return self._v.shape[0]

    def _indices(self) -> Tensor:
        return self._i

    def _values(self) -> Tensor:
        return self._v

    def is_coalesced(self) -> bool:
        """Whether the coordinates are sorted, and each is there once."""
        return self._coalesced

    def indices(self) -> Tensor:
        """The coordinates, [sparse_dim, nnz]. RuntimeError unless coalesced."""
        self._need_coalesced("indices")
        return self._i

    def values(self) -> Tensor:
        """The values, [nnz, ...]. RuntimeError unless coalesced."""
        self._need_coalesced("values")
        return self._v

    def _need_coalesced(self, what: str) -> None:
        if not self._coalesced:
            raise RuntimeError(f"Cannot get {what} on an uncoalesced tensor, please call .coalesce() first")

    # -- autograd -------------------------------------------------------------------------------------

    @property
    def requires_grad(self) -> bool:
        return self._v.requires_grad

    @requires_grad.setter
    def requires_grad(self, value: bool) -> None:
        self._v.requires_grad_(value)

    def requires_grad_(self, requires_grad: bool = True) -> SparseTensor:
        self._v.requires_grad_(requires_grad)
        return self

    @property
    def grad(self) -> SparseTensor | None:
        """The gradient, at the same coordinates."""
        return None if self._v.grad is None else self._with(self._v.grad)

    @grad.setter
    def grad(self, value: SparseTensor | None) -> None:
        self._v.grad = None if value is None else value._v

    def detach(self) -> SparseTensor:
        return self._with(self._v.detach())

    # -- other forms ----------------------------------------------------------------------------------

    def _with(self, values: Tensor) -> SparseTensor:
        """The same coordinates with other values."""
        return SparseTensor(self._i, values, self._size, self._coalesced)

    def _linear(self) -> Tensor:
        """The coordinates as numbers of the rows of the dense form."""
        sizes = self._size[: self.sparse_dim()]
        if math.prod(sizes) >= 2**63:
            raise RuntimeError(f"a sparse tensor of sizes {tuple(sizes)} has more places than 64 bits can number")
        linear = self._i.new_zeros(self._nnz()) if not sizes else self._i[0]
        for d in range(1, len(sizes)):
            linear = linear * sizes[d] + self._i[d]
        return linear

    def coalesce(self) -> SparseTensor:
        """The same tensor with sorted coordinates, each once: values of one place are added up."""
        if self._coalesced:
            return self
        if self._nnz() < 2:
            return SparseTensor(self._i, self._v, self._size, True)
        linear, inverse = norch.unique(self._linear(), return_inverse=True)
        values = add_rows(linear.shape[0], inverse, self._v)
        rows = []
        for size in reversed(self._size[: self.sparse_dim()]):
            rows.append(linear % size)
            linear = linear // size
        indices = norch.stack(rows[::-1]) if rows else self._i[:, :1]
        return SparseTensor(indices, values, self._size, True)

    def to_dense(self, dtype: Any = None, *, masked_grad: bool | None = None) -> Tensor:
        """The dense tensor of the same sizes."""
        sparse = self._size[: self.sparse_dim()]
        dense = add_rows(math.prod(sparse), self._linear(), self._v).reshape(tuple(self._size))
        return dense if dtype is None else dense.to(dtype)

    def to_sparse(self, sparse_dim: int | None = None, *, layout: Any = None, **options: Any) -> SparseTensor:
        if layout not in (None, sparse_coo) or sparse_dim not in (None, self.sparse_dim()):
            unsupported("to_sparse")
        return self

    def to(self, *args: Any, **kwargs: Any) -> SparseTensor:
        values = self._v.to(*args, **kwargs)
        if values is self._v:
            return self
        return SparseTensor(self._i.to(values.device), values, self._size, self._coalesced)

    def cpu(self) -> SparseTensor:
        return self.to("cpu")

    def cuda(self, device: Any = None, non_blocking: bool = False, **options: Any) -> SparseTensor:
        return self.to("cuda" if device is None else norch.device(device))

    def type(self, dtype: Any = None, non_blocking: bool = False) -> Any:
        if dtype is None:
            package = _C._package_name() + (".cuda" if self.is_cuda else "")
            return f"{package}.sparse.{self._v.type().rpartition('.')[2]}"
        return self.to(self._v.detach().type(dtype).dtype)

    def type_as(self, other: Tensor) -> SparseTensor:
        return self.to(other.device, other.dtype)

    def clone(self, **options: Any) -> SparseTensor:
        return SparseTensor(self._i.clone(), self._v.clone(), self._size, self._coalesced)

    def copy_(self, src: SparseTensor, non_blocking: bool = False) -> SparseTensor:
        if not src.is_sparse or src.shape != self._size:
            raise RuntimeError(f"copy_: expected a sparse tensor of sizes {tuple(self._size)} as source")
        self._i, self._v = src._i.to(self.device, copy=True), src._v.to(self.device, self.dtype, copy=True)
        self._coalesced = src._coalesced
        return self

    def numpy(self, *, force: bool = False) -> NoReturn:
        raise TypeError("can't convert Sparse layout tensor to numpy. Use Tensor.to_dense() first.")

    __array__ = numpy

    def __repr__(self, *, tensor_contents: Any = None) -> str:
        from ._print import text_of

        return text_of(self)

    __str__ = __repr__

    def __reduce_ex__(self, protocol: Any) -> Any:
        return SparseTensor, (self._i, self._v, tuple(self._size), self._coalesced)

    def __copy__(self) -> SparseTensor:
        return self._with(self._v)

    def __deepcopy__(self, memo: dict) -> SparseTensor:
        import copy

        if id(self) not in memo:
            indices, values = copy.deepcopy(self._i, memo), copy.deepcopy(self._v, memo)
            memo[id(self)] = SparseTensor(indices, values, self._size, self._coalesced)
        return memo[id(self)]

    # -- what it lacks --------------------------------------------------------------------------------

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__") or not callable(getattr(Tensor, name, None)):
            raise AttributeError(f"a sparse tensor has no attribute '{name}'")

        def method(*args: Any, **kwargs: Any) -> NoReturn:
            unsupported(name)

        return method

    def __iter__(self) -> Any:
        return (self[i] for i in range(len(self)))  # type: ignore[index]

    __hash__ = object.__hash__


def _refuse(name: str) -> Any:
    return lambda self, *args: unsupported(name)


for _name in ("eq", "ne", "lt", "le", "gt", "ge", "mod", "floordiv", "and", "or", "xor", "setitem", "bool", "float", "int"):
    setattr(SparseTensor, f"__{_name}__", _refuse(f"__{_name}__"))
for _name, _dtype in {
    "float": "float32", "double": "float64", "half": "float16", "bfloat16": "bfloat16", "int": "int32", "long": "int64",
    "short": "int16", "char": "int8", "byte": "uint8", "bool": "bool", "cfloat": "complex64", "cdouble": "complex128",
}.items():  # fmt: skip
    setattr(SparseTensor, _name, lambda self, _dtype=getattr(norch, _dtype): self.to(_dtype))
