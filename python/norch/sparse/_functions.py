"""Operations on sparse tensors, written in operations on their indices and values."""

from __future__ import annotations

import numbers
from typing import Any, Callable

import norch
from norch import _C
from norch._C import Tensor

from ._tensor import SparseTensor, add_rows, unsupported

__all__ = ["FUNCTIONS", "addmm", "call", "matmul", "mm", "sparse_mask", "sum"]


def _is_sparse(t: Any) -> bool:
    return type(t) is SparseTensor


def _number(t: Any) -> bool:
    return isinstance(t, numbers.Number) or (isinstance(t, Tensor) and not _is_sparse(t) and t.dim() == 0)


def _dim(d: int, n: int) -> int:
    if not -n <= d < n:
        raise IndexError(f"Dimension out of range (expected to be in range of [{-n}, {n - 1}], but got {d})")
    return d % n


# -- products -------------------------------------------------------------------------------------------


def _check_product(a: Any, b: Any) -> None:
    if a.shape[-1] != b.shape[0]:
        shapes = " and ".join("x".join(map(str, t.shape)) for t in (a, b))
        raise RuntimeError(f"mat1 and mat2 shapes cannot be multiplied ({shapes})")
    if a.dtype != b.dtype:
        raise RuntimeError(f"expected m1 and m2 to have the same dtype, but got: {a.dtype} != {b.dtype}")


def _is_matrix(t: Any) -> bool:
    return t.dim() == 2 and (not _is_sparse(t) or t.sparse_dim() == 2)


def _sparse_dense(a: Any, b: Tensor) -> Tensor:
    """out[i] = sum over the entries (i, k) of a[i, k] * b[k]"""
    rows, columns = a._i.unbind(0)
    weights = a._v if b.dim() == 1 else a._v.unsqueeze(1)
    return add_rows(a.shape[0], rows, b.index_select(0, columns) * weights)


def _pairs(keys: Tensor, others: Tensor, n: int) -> tuple[Tensor, Tensor]:
    """All (i, j) with keys[i] == others[j], in the order of i, then of j; the values lie in 0 to n - 1."""
    count = add_rows(n, others, norch.ones_like(others))
    start, count = (count.cumsum(0) - count)[keys], count[keys]
    i = norch.repeat_interleave(norch.arange(keys.shape[0], device=keys.device), count)
    within = norch.arange(i.shape[0], device=keys.device) - (count.cumsum(0) - count)[i]
    return i, norch.argsort(others, stable=True)[start[i] + within]


def _sparse_sparse(a: Any, b: Any) -> Any:
    """Each entry (i, k) of a meets the entries (k, j) of b."""
    left, right = _pairs(a._i[1], b._i[0], b.shape[0])
    indices = norch.stack([a._i[0][left], b._i[1][right]])
    return SparseTensor(indices, a._v[left] * b._v[right], (a.shape[0], b.shape[1])).coalesce()


def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The matrix product; sparse if both are. Gradients reach the values of sparse operands and dense ones."""
    if not (_is_matrix(input) and _is_matrix(mat2)):
        raise RuntimeError(f"mm: expected two matrices, but got {tuple(input.shape)} and {tuple(mat2.shape)}")
    _check_product(input, mat2)
    if not _is_sparse(input):
        return norch.mm(input, mat2) if not _is_sparse(mat2) else _sparse_dense(mat2.t(), input.t()).t().contiguous()
    return _sparse_sparse(input, mat2) if _is_sparse(mat2) else _sparse_dense(input, mat2)


def matmul(input: Tensor, other: Tensor) -> Tensor:
    """As mm, also with a dense vector on either side."""
    if _is_matrix(input) and _is_matrix(other):
        return mm(input, other)
    if _is_sparse(input) and _is_matrix(input) and not _is_sparse(other) and other.dim() == 1:
        _check_product(input, other)
        return _sparse_dense(input, other)
    if _is_sparse(other) and _is_matrix(other) and not _is_sparse(input) and input.dim() == 1:
        _check_product(input, other)
        return _sparse_dense(other.t(), input)
    unsupported("matmul of more than two dims")


def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """beta * input + alpha * (mat1 @ mat2)"""
    product = mm(mat1, mat2)
    return (input if beta == 1 else input * beta) + (product if alpha == 1 else product * alpha)


def _linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    out = matmul(input, weight.t())
    return out if bias is None else out + bias


# -- elementwise ----------------------------------------------------------------------------------------


def _same_size(a: Any, b: Any, what: str) -> None:
    if a.shape != b.shape:
        raise RuntimeError(f"{what}: expected operands of the same size, but got {tuple(a.shape)} and {tuple(b.shape)}")


def add(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    """input + alpha * other: of two sparse tensors, or of a dense and a sparse one."""
    if not (isinstance(input, Tensor) and isinstance(other, Tensor)):
        unsupported("add of a number")
    if not isinstance(input, SparseTensor):
        _same_size(input, other, "add")
        return norch.add(input, other.to_dense(), alpha=alpha)
    if not isinstance(other, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
    _same_size(input, other, "add")
    if input.sparse_dim() != other.sparse_dim():
        unsupported("add of tensors with different sparse_dim")
    dtype = norch.promote_types(input.dtype, other.dtype)
    values = norch.cat([input._v.to(dtype), (other._v if alpha == 1 else other._v * alpha).to(dtype)])
    return SparseTensor(norch.cat([input._i, other._i], 1), values, input.shape).coalesce()


def sub(input: Any, other: Any, *, alpha: Any = 1) -> Any:
    return add(input, other, alpha=-alpha)


def mul(input: Any, other: Any) -> Any:
    """With a number, a dense tensor, or a sparse tensor (then only where both have values)."""
    if not _is_sparse(input):
        input, other = other, input
    if _number(other):
        return input._with(input._v * other)
    if not _is_sparse(other):
        at = norch.broadcast_to(other, tuple(input.shape))[tuple(input._i)]
        return input._with(input._v * at)
    _same_size(input, other, "mul")
    a, b = input.coalesce(), other.coalesce()
    if a.sparse_dim() != b.sparse_dim():
        unsupported("mul of tensors with different sparse_dim")
    x, y = a._linear(), b._linear()
    if y.numel() == 0:
        return b._with(b._v.to(norch.promote_types(a.dtype, b.dtype)))
    at = norch.searchsorted(y, x).clamp(max=y.numel() - 1)
    kept = (y[at] == x).nonzero().squeeze(1)
    return SparseTensor(a._i[:, kept], a._v[kept] * b._v[at[kept]], a.shape, True)


def div(input: Any, other: Any, *, rounding_mode: Any = None) -> Any:
    if not _is_sparse(input) or not _number(other):
        unsupported("div by a tensor")
    t = input if rounding_mode is None else input.coalesce()
    return t._with(norch.div(t._v, other, rounding_mode=rounding_mode))


def pow(input: Any, exponent: Any) -> Any:
    if not _is_sparse(input) or not _number(exponent) or exponent <= 0:
        unsupported("pow, but for positive numbers as exponents,")
    t = input.coalesce()
    return t._with(t._v**exponent)


def _unary(function: Callable) -> Callable:
    """A function of which f(0) = 0, applied to the values once there is one for each place."""

    def apply(input: Any) -> Any:
        t = input.coalesce()
        return t._with(function(t._v))

    return apply


def neg(input: Any) -> Any:
    return input._with(-input._v)


# -- sums, shapes -----------------------------------------------------------------------------------------


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over all dims, a dense number, or over some: sparse, unless no sparse dim is left."""
    if not _is_sparse(input):
        return norch.sum(input, dim, keepdim, dtype=dtype) if dim is not None else norch.sum(input, dtype=dtype)
    if dim is None or dim == () or dim == []:
        return input._v.sum(dtype=dtype)
    if keepdim:
        unsupported("sum(keepdim=True)")
    dims = {_dim(d, input.dim()) for d in ((dim,) if isinstance(dim, int) else dim)}
    n = input.sparse_dim()
    inside = [d - n + 1 for d in sorted(dims) if d >= n]
    values = input._v.sum(inside, dtype=dtype) if inside else (input._v if dtype is None else input._v.to(dtype))
    if values.dtype == norch.bool or (dtype is None and not values.is_floating_point() and not values.is_complex()):
        values = values.to(norch.int64)  # as of dense tensors
    kept = [d for d in range(n) if d not in dims]
    size = [s for d, s in enumerate(input.shape) if d not in dims]
    if not kept:
        return values.sum(0)
    return SparseTensor(input._i[kept], values, size).coalesce()


def permute(input: Any, dims: Any, *more: int) -> Any:
    order = [_dim(d, input.dim()) for d in ((dims, *more) if isinstance(dims, int) else dims)]
    n = input.sparse_dim()
    if sorted(order) != list(range(input.dim())):
        raise RuntimeError(f"permute: {order} is no order of the {input.dim()} dims")
    if sorted(order[:n]) != list(range(n)):
        unsupported("permute of sparse with dense dims")
    values = input._v.permute(0, *(d - n + 1 for d in order[n:]))
    size = [input.shape[d] for d in order]
    return SparseTensor(input._i[order[:n]], values, size, order == sorted(order) and input._coalesced)


def transpose(input: Any, dim0: int, dim1: int) -> Any:
    order = list(range(input.dim()))
    a, b = _dim(dim0, input.dim()), _dim(dim1, input.dim())
    order[a], order[b] = b, a
    return permute(input, order)


def t(input: Any) -> Any:
    if input.dim() > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {input.dim()}D")
    return transpose(input, 0, 1) if input.dim() == 2 else input


def unsqueeze(input: Any, dim: int) -> Any:
    d = _dim(dim, input.dim() + 1)
    size = [*input.shape[:d], 1, *input.shape[d:]]
    n = input.sparse_dim()
    if d > n:
        return SparseTensor(input._i, input._v.unsqueeze(d - n + 1), size, input._coalesced)
    indices = norch.cat([input._i[:d], input._i.new_zeros(1, input._nnz()), input._i[d:]])
    return SparseTensor(indices, input._v, size, input._coalesced)


def cat(tensors: Any, dim: int = 0) -> Any:
    first = tensors[0]
    d = _dim(dim, first.dim())
    if not all(map(_is_sparse, tensors)) or d >= first.sparse_dim():
        unsupported("cat of sparse with dense tensors, or along dense dims,")
    parts, start = [], 0
    for p in tensors:
        if any(a != b for i, (a, b) in enumerate(zip(p.shape, first.shape)) if i != d) or p.dim() != first.dim():
            raise RuntimeError(f"cat: sizes must match except in dimension {d}, but got {first.shape} and {p.shape}")
        offset = norch.zeros(p.sparse_dim(), 1, dtype=norch.int64, device=p.device)
        offset[d] = start
        parts.append(p._i + offset)
        start += p.shape[d]
    size = [*first.shape[:d], start, *first.shape[d + 1 :]]
    return SparseTensor(norch.cat(parts, 1), norch.cat([p._v for p in tensors]), size)


def stack(tensors: Any, dim: int = 0) -> Any:
    return cat([unsqueeze(p, dim) for p in tensors], dim)


def index_select(input: Any, dim: int, index: Tensor) -> Any:
    """Rows of a sparse dim: of each index, the entries that have it."""
    d = _dim(dim, input.dim())
    if not _is_sparse(input) or d >= input.sparse_dim():
        unsupported("index_select along a dense dim")
    if index.numel() and not (-1 < index.min().item() <= index.max().item() < input.shape[d]):
        raise IndexError(f"index_select: an index lies outside of dim {d} of size {input.shape[d]}")
    to, entry = _pairs(index.to(norch.int64), input._i[d], input.shape[d])
    indices = norch.cat([input._i[:d, entry], to.unsqueeze(0), input._i[d + 1 :, entry]])
    size = [*input.shape[:d], index.numel(), *input.shape[d + 1 :]]
    return SparseTensor(indices, input._v[entry], size)


def _getitem(input: Any, key: Any) -> Any:
    """An integer, or integers, from the first dim on."""
    for k in key if isinstance(key, tuple) else (key,):
        if isinstance(k, bool) or not hasattr(k, "__index__") or isinstance(k, Tensor):
            unsupported("indexing with anything but integers")
        n = input.shape[0]
        if not -n <= int(k) < n:
            raise IndexError(f"index {k} is out of bounds for dimension 0 with size {n}")
        kept = (input._i[0] == int(k) % n).nonzero().squeeze(1)
        if input.sparse_dim() == 1:
            input = input._v[kept].sum(0)
        else:
            input = SparseTensor(input._i[1:, kept], input._v[kept], input.shape[1:], input._coalesced)
    return input


def sparse_mask(input: Any, mask: Any) -> Any:
    """Tensor.sparse_mask."""
    if not _is_sparse(mask):
        raise RuntimeError("sparse_mask: expected a sparse tensor as mask")
    _same_size(input, mask, "sparse_mask")
    if _is_sparse(input):
        return mul(input, mask._with(norch.ones_like(mask._v)))
    return mask._with(input[tuple(mask._i)])


def _zeros_like(input: Any, *, dtype: Any = None, device: Any = None, **options: Any) -> Any:
    values = norch.empty(0, *input._v.shape[1:], dtype=dtype or input.dtype, device=device or input.device)
    return SparseTensor(values.new_empty((input.sparse_dim(), 0), dtype=norch.int64), values, input.shape, True)


def _norm(input: Any, p: Any = "fro", dim: Any = None) -> Tensor:
    if dim is not None:
        unsupported("norm(dim=...)")
    return norch.norm(input.coalesce()._v, p)


def _dense_add_(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    if _is_sparse(input):
        unsupported("add_")
    return input.add_(other.to_dense(), alpha=alpha)


FUNCTIONS: dict[str, Callable] = {
    "mm": mm, "matmul": matmul, "mv": matmul, "addmm": addmm, "linear": _linear, "add": add, "sub": sub, "mul": mul,
    "div": div, "pow": pow, "neg": neg, "sum": sum, "permute": permute, "transpose": transpose, "t": t, "cat": cat,
    "stack": stack, "unsqueeze": unsqueeze, "index_select": index_select, "norm": _norm, "zeros_like": _zeros_like,
    "clone": SparseTensor.clone, "is_complex": SparseTensor.is_complex, "add_": _dense_add_, "copy_": SparseTensor.copy_,
    "is_floating_point": SparseTensor.is_floating_point,
    "sub_": lambda input, other, *, alpha=1: _dense_add_(input, other, alpha=-alpha),
}  # fmt: skip
_UNARY = "abs ceil expm1 floor log1p relu round sign sin sqrt square tan tanh trunc"
for _name in _UNARY.split():
    FUNCTIONS[_name] = _unary(getattr(norch, _name))
_ALIASES = {"multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "negative": "neg"}
for _alias, _name in _ALIASES.items():
    FUNCTIONS[_alias] = FUNCTIONS[_name]


def call(name: str, args: tuple, kwargs: dict) -> Any:
    """norch.name(*args, **kwargs), where an argument is sparse: C++ calls this."""
    function = FUNCTIONS.get(name)
    if function is None or "out" in kwargs:
        unsupported(name)
    return function(*args, **kwargs)


def _operator(function: Callable, reflected: bool = False) -> Callable:
    def operator(self: Any, other: Any) -> Any:
        if not isinstance(other, (Tensor, numbers.Number)):
            return NotImplemented
        return function(other, self) if reflected else function(self, other)

    return operator


_NO_METHODS = "linear cat stack clone copy_ zeros_like add_ sub_ is_complex is_floating_point".split()
for _name, _function in FUNCTIONS.items():
    if _name not in _NO_METHODS:
        setattr(SparseTensor, _name, (lambda f: lambda self, *args, **kwargs: f(self, *args, **kwargs))(_function))
for _name, _function in {"add": add, "sub": sub, "mul": mul, "truediv": div, "matmul": matmul, "pow": pow}.items():
    setattr(SparseTensor, f"__{_name}__", _operator(_function))
    setattr(SparseTensor, f"__r{_name}__", _operator(_function, True))
for _name, _value in {
    "__getitem__": _getitem,
    "__neg__": neg,
    "__abs__": FUNCTIONS["abs"],
    "smm": mm,
    "spmm": mm,
    "sparse_mask": sparse_mask,
    "T": property(t),
    "mT": property(lambda self: transpose(self, -2, -1)),
}.items():
    setattr(SparseTensor, _name, _value)
_C._set_sparse(SparseTensor, call)
