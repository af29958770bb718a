"""Operations on sparse tensors, written in operations on their indices and values."""

from __future__ import annotations

import numbers
from typing import Any, Callable

import norch
from norch._C import Tensor

from ._base import add_rows, unsupported
from ._shapes import cat, getitem, index_select, narrow_copy, pairs, permute, real_dim, select, stack, t, transpose, unsqueeze
from ._tensor import SparseTensor

__all__ = ["FUNCTIONS", "is_number", "matmul", "operators", "sparse_mask"]


def _is_sparse(t: Any) -> bool:
    return type(t) is SparseTensor


def is_number(t: Any) -> bool:
    """Whether t is a number, or a dense tensor without dims."""
    return isinstance(t, numbers.Number) or (isinstance(t, Tensor) and not _is_sparse(t) and t.dim() == 0)


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


def _sparse_sparse(a: Any, b: Any) -> Any:
    """Each entry (i, k) of a meets the entries (k, j) of b."""
    left, right = pairs(a._i[1], b._i[0], b.shape[0])
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
    if is_number(other) and isinstance(input, SparseTensor):
        raise RuntimeError("add(sparse, dense) is not supported. Use add(dense, sparse) instead.")
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
    if is_number(other):
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
    if not _is_sparse(input):
        unsupported("div by a sparse tensor")
    if not is_number(other):
        raise RuntimeError(
            f"Sparse division requires a scalar or zero-dim dense tensor divisor (got shape {list(other.shape)} for divisor)"
        )
    t = input if rounding_mode is None else input.coalesce()
    return t._with(norch.div(t._v, other, rounding_mode=rounding_mode))


def pow(input: Any, exponent: Any) -> Any:
    if not _is_sparse(input) or not is_number(exponent) or exponent <= 0:
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


# -- sums --------------------------------------------------------------------------------------------------


def sum(input: Any, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Any:
    """The sum over all dims, a dense number, or over some: sparse, unless no sparse dim is left."""
    if dim is None or dim == () or dim == []:
        return input._v.sum(dtype=dtype)
    dims = {real_dim(d, input.dim()) for d in ((dim,) if isinstance(dim, int) else dim)}
    n = input.sparse_dim()
    inside = [d - n + 1 for d in sorted(dims) if d >= n]
    values = input._v.sum(inside, dtype=dtype) if inside else (input._v if dtype is None else input._v.to(dtype))
    if values.dtype == norch.bool or (dtype is None and not values.is_floating_point() and not values.is_complex()):
        values = values.to(norch.int64)  # as of dense tensors
    kept = [d for d in range(n) if d not in dims]
    size = [s for d, s in enumerate(input.shape) if d not in dims]
    if not kept:
        out = values.sum(0)
        return out.reshape([1 if d in dims else s for d, s in enumerate(input.shape)]) if keepdim else out
    out = SparseTensor(input._i[kept], values, size).coalesce()
    for d in sorted(dims) if keepdim else ():
        out = unsqueeze(out, d)
    return out


def sparse_mask(input: Any, mask: Any) -> Any:
    """Tensor.sparse_mask."""
    if not _is_sparse(mask):
        raise RuntimeError("sparse_mask: expected a sparse tensor as mask")
    _same_size(input, mask, "sparse_mask")
    if _is_sparse(input):
        return mul(input, mask._with(norch.ones_like(mask._v)))
    return mask._with(input[tuple(mask._i)])


def _norm(input: Any, p: Any = "fro", dim: Any = None) -> Tensor:
    if dim is not None:
        unsupported("norm(dim=...)")
    return norch.norm(input.coalesce()._v, p)


def _bmm(input: Any, mat2: Tensor) -> Tensor:
    """A batch of sparse matrices, [b, n, m] with three sparse dims, times one of dense matrices, [b, m, p]."""
    if not _is_sparse(input) or _is_sparse(mat2) or input.sparse_dim() != 3 or mat2.dim() != 3:
        unsupported("bmm, but of sparse with dense batches of matrices,")
    b, n, m = input.shape
    if tuple(mat2.shape[:2]) != (b, m):
        raise RuntimeError(f"bmm: expected a second batch of shape [{b}, {m}, *], but got {list(mat2.shape)}")
    i = input._i
    flat = SparseTensor(norch.stack([i[0] * n + i[1], i[0] * m + i[2]]), input._v, (b * n, b * m))
    return _sparse_dense(flat, mat2.reshape(b * m, -1)).reshape(b, n, -1)


def _dense_add_(input: Tensor, other: Any, *, alpha: Any = 1) -> Tensor:
    if _is_sparse(input):
        return input.add_(other, alpha=alpha)
    return input.add_(other.to_dense(), alpha=alpha)


FUNCTIONS: dict[str, Callable] = {
    "mm": mm, "matmul": matmul, "mv": matmul, "addmm": addmm, "linear": _linear, "add": add, "sub": sub, "mul": mul,
    "div": div, "pow": pow, "neg": neg, "sum": sum, "permute": permute, "transpose": transpose, "t": t, "cat": cat,
    "stack": stack, "unsqueeze": unsqueeze, "index_select": index_select, "norm": _norm,
    "select": select, "narrow_copy": narrow_copy, "bmm": _bmm, "any": lambda input: input._v.any(),
    "conj": lambda input: input._with(input._v.conj()), "resolve_conj": lambda input: input,
    "clone": SparseTensor.clone, "is_complex": SparseTensor.is_complex, "add_": _dense_add_, "copy_": SparseTensor.copy_,
    "is_floating_point": SparseTensor.is_floating_point,
    "sub_": lambda input, other, *, alpha=1: _dense_add_(input, other, alpha=-alpha),
}  # fmt: skip
_UNARY = (
    "abs asin asinh atan atanh ceil deg2rad erf erfinv expm1 floor frac isinf isnan isneginf isposinf log1p nan_to_num "
    "rad2deg relu round sgn sign signbit sin sinh sqrt square tan tanh trunc"
)
for _name in _UNARY.split():
    FUNCTIONS[_name] = _unary(getattr(norch, _name))
_ALIASES = {"multiply": "mul", "divide": "div", "true_divide": "div", "subtract": "sub", "negative": "neg"}
for _alias, _name in _ALIASES.items():
    FUNCTIONS[_alias] = FUNCTIONS[_name]


def operators(call: Callable) -> dict[str, Any]:
    """The operators of a class of sparse tensors, whose functions are call(name, args, kwargs)."""

    def operator(name: str, reflected: bool) -> Callable:
        def method(self: Any, other: Any) -> Any:
            if not isinstance(other, (Tensor, numbers.Number)):
                return NotImplemented
            return call(name, (other, self) if reflected else (self, other), {})

        return method

    names = {"add": "add", "sub": "sub", "mul": "mul", "truediv": "div", "matmul": "matmul", "pow": "pow"}
    made: dict[str, Any] = {f"__{slot}__": operator(name, False) for slot, name in names.items()}
    made.update({f"__r{slot}__": operator(name, True) for slot, name in names.items()})
    made["__neg__"] = lambda self: call("neg", (self,), {})
    made["__abs__"] = lambda self: call("abs", (self,), {})
    return made


for _name, _value in {
    "__getitem__": getitem,
    "smm": mm,
    "spmm": mm,
    "sparse_mask": sparse_mask,
    "T": property(t),
    "mT": property(lambda self: transpose(self, -2, -1)),
}.items():
    setattr(SparseTensor, _name, _value)
