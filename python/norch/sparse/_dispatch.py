"""Calls of norch's functions with sparse tensors, or with a sparse layout: C++ hands them to `call`."""

from __future__ import annotations

from typing import Any

import norch
from norch import _C
from norch._C import Tensor
from norch._layout import sparse_coo, sparse_csc, sparse_csr, strided

from ._base import Base, unsupported
from ._compressed import CompressedTensor
from ._functions import FUNCTIONS, operators
from ._tensor import SparseTensor

__all__ = ["addmm", "call", "mm", "sum"]


def _empty(size: tuple, layout: Any, values: Tensor) -> Tensor:
    """A tensor of zeros; `values` has none, but dtype and device."""
    if layout is sparse_coo:
        return SparseTensor(values.new_empty((len(size), 0), dtype=norch.int64), values, size, True)
    if layout not in (sparse_csr, sparse_csc) or len(size) != 2:
        unsupported(f"{layout} of {len(size)} dims")
    starts = values.new_zeros(size[layout is sparse_csc] + 1, dtype=norch.int64)
    return CompressedTensor(starts, starts[:0], values, size, layout)


def _make(name: str, args: tuple, kwargs: dict) -> Tensor:
    """zeros and empty, zeros_like and empty_like, new_zeros and new_empty with a sparse layout."""
    options = {"dtype": None, "device": None, **kwargs}
    layout = options.pop("layout", None)
    requires_grad = options.pop("requires_grad", False)
    options.pop("pin_memory", None)
    options.pop("memory_format", None)
    kind = name.removeprefix("new_").removesuffix("_like")
    if kind not in ("zeros", "empty"):
        raise NotImplementedError(f"{name}: not implemented for the layout {layout}; make a dense tensor and call .to_sparse()")
    like: Any = args[0] if name != kind else None
    if like is not None:
        options["dtype"] = options["dtype"] or like.dtype
        options["device"] = options["device"] or like.device
        args = args[1:]
        layout = layout or like.layout
    size = options.pop("size", None) or (args[0] if len(args) == 1 and isinstance(args[0], (tuple, list)) else args)
    shape = tuple(like.shape if name.endswith("_like") else size)
    if layout is strided:
        return norch.zeros(shape, requires_grad=requires_grad, **options)
    if name.endswith("_like") and type(like) is SparseTensor and layout is sparse_coo:
        values = norch.empty(0, *like._v.shape[1:], **options)
        out: Any = SparseTensor(values.new_empty((like.sparse_dim(), 0), dtype=norch.int64), values, shape, True)
    else:
        out = _empty(shape, layout, norch.empty(0, **options))
    return out.requires_grad_() if requires_grad else out


def _through_coordinates(name: str, args: tuple, kwargs: dict) -> Any:
    """A function of compressed matrices, computed as that of coordinates; the result is compressed again."""
    kept = [a for a in (*args, *kwargs.values()) if type(a) is CompressedTensor]

    def coordinates(a: Any) -> Any:
        if type(a) in (tuple, list):
            return type(a)(map(coordinates, a))
        return a.to_sparse_coo() if type(a) is CompressedTensor else a

    if name == "sum" and len(args) + len(kwargs) > 1 and not kwargs.get("keepdim", len(args) > 2 and args[2]):
        raise RuntimeError("reduction operations on CSR tensors with keepdim=False is unsupported")
    out = FUNCTIONS[name](*map(coordinates, args), **{k: coordinates(v) for k, v in kwargs.items()})
    if type(out) is SparseTensor and out.dim() == 2 and kept:
        return out.to_sparse(layout=kept[0].layout)
    return out


_MADE = "arange empty eye full linspace logspace ones rand randint randn randperm scalar_tensor zeros".split()


def call(name: str, args: tuple, kwargs: dict) -> Any:
    """norch.name(*args, **kwargs) where an argument is sparse, or the layout."""
    if name in _MADE or name.endswith("_like") or name.startswith("new_"):
        return _make(name, args, kwargs)
    if name not in FUNCTIONS or "out" in kwargs:
        unsupported(name)
    if any(type(a) is CompressedTensor for a in (*args, *kwargs.values())):
        if name in ("t", "transpose"):
            return getattr(args[0], name)(*args[1:], **kwargs)
        if name in ("clone", "is_complex", "is_floating_point"):
            return getattr(args[0], name)()
        if name in ("add", "add_") and not isinstance(args[0], Base):
            return getattr(norch.Tensor, name)(args[0], args[1].to_dense(), **kwargs)
        if name == "add" and len(args) == 2 and not isinstance(args[1], Base) and isinstance(args[1], Tensor):
            return norch.add(args[1] * kwargs.get("alpha", 1), args[0].to_dense())
        return _through_coordinates(name, args, kwargs)
    return FUNCTIONS[name](*args, **kwargs)


def sum(input: Tensor, dim: Any = None, dtype: Any = None) -> Tensor:
    """sum(input, dim=None, dtype=None) -> Tensor

    The sum of a sparse tensor over all dims, a dense number, or over some: sparse, unless no sparse dim is left.

    >>> norch.sparse.sum(norch.eye(3).to_sparse(), 0).to_dense()
    tensor([1., 1., 1.])
    """
    if not isinstance(input, Tensor) or input.layout is strided:
        raise RuntimeError("sparse.sum: expected a sparse tensor; norch.sum takes dense ones")
    return call("sum", (input,) if dim is None else (input, dim), {} if dtype is None else {"dtype": dtype})


def mm(mat1: Tensor, mat2: Tensor) -> Tensor:
    """mm(mat1, mat2) -> Tensor

    The product of two matrices, sparse if both are. Gradients reach the values of sparse ones, and dense ones.

    >>> norch.sparse.mm(norch.eye(2).to_sparse(), norch.ones(2, 1))
    tensor([[1.],
            [1.]])
    """
    return call("mm", (mat1, mat2), {})


def addmm(mat: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """addmm(mat, mat1, mat2, *, beta=1, alpha=1) -> Tensor

    beta * mat + alpha * (mat1 @ mat2), where mat1 is sparse."""
    return call("addmm", (mat, mat1, mat2), {"beta": beta, "alpha": alpha})


def _method(name: str) -> Any:
    return lambda self, *args, **kwargs: call(name, (self, *args), kwargs)


for _kind in (SparseTensor, CompressedTensor):
    for _name in FUNCTIONS:
        if not hasattr(_kind, _name) or _name not in _kind.__dict__ and _name not in Base.__dict__:
            if _name not in ("linear", "cat", "stack"):
                setattr(_kind, _name, _method(_name))
    for _name, _value in operators(call).items():
        setattr(_kind, _name, _value)
    for _name in ("new_zeros", "new_empty", "new_ones", "new_full"):
        setattr(_kind, _name, _method(_name))
_C._set_sparse(SparseTensor, CompressedTensor, call)
