"""One operation over lists of tensors: norch._foreach_add(tensors, others), ...

PyTorch's names for what optimizers do to all parameters at once. `_foreach_add(tensors, other)` returns the list of
tensor + other, `_foreach_add_(tensors, other)` changes the tensors and returns nothing. Operands are lists of as many
tensors or numbers, or one number or tensor for all. RuntimeError where lists differ in length or are empty.

    >>> norch._foreach_mul([norch.ones(2), norch.ones(1)], [2.0, 3.0])
    [tensor([2., 2.]), tensor([3.])]
"""

from __future__ import annotations

from typing import Any, Callable

import norch
from norch import Tensor

_UNARY = (
    "abs acos asin atan ceil cos cosh erf erfc exp expm1 floor frac lgamma log log10 log1p log2 neg reciprocal round rsqrt "
    "sigmoid sign sin sinh sqrt tan tanh trunc"
).split()
_BINARY = ("add", "sub", "mul", "div", "pow", "clamp_min", "clamp_max", "maximum", "minimum")
_POINTWISE = ("addcmul", "addcdiv")


def _lists(name: str, first: Any, *others: Any) -> int:
    """The common length of the lists."""
    if not isinstance(first, (list, tuple)):
        raise TypeError(f"_foreach_{name}: expected a list of tensors, got {type(first).__name__}")
    if not first:
        raise RuntimeError(f"_foreach_{name}: Tensor list must have at least one tensor.")
    for other in others:
        if isinstance(other, (list, tuple)) and len(other) != len(first):
            raise RuntimeError(
                f"_foreach_{name}: Tensor lists must have the same number of tensors, got {len(first)} and {len(other)}"
            )
    return len(first)


def _each(operand: Any, count: int) -> Any:
    """The operand of each tensor: those of a list, or one for all. A tensor of scalars stands for its numbers."""
    return operand if isinstance(operand, (list, tuple)) else [operand] * count


def _unary(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    method, in_place = getattr(Tensor, name), getattr(Tensor, name + "_")

    def function(self: list[Tensor]) -> list[Tensor]:
        _lists(name, self)
        return [method(t) for t in self]

    def function_(self: list[Tensor]) -> None:
        _lists(name, self)
        for t in self:
            in_place(t)

    return function, function_


def _binary(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    op = {"clamp_min": "maximum", "clamp_max": "minimum"}.get(name, name)
    has_alpha = name in ("add", "sub")

    def one(t: Any, other: Any, alpha: Any) -> Any:
        if has_alpha:
            return getattr(t, op)(other, alpha=alpha)
        if op in ("maximum", "minimum") and not isinstance(other, Tensor):
            return t.clamp(min=other) if op == "maximum" else t.clamp(max=other)
        return norch.pow(t, other) if op == "pow" else getattr(t, op)(other)

    def function(self: Any, other: Any, *, alpha: Any = 1) -> list[Tensor]:
        if name == "pow" and not isinstance(self, (list, tuple)):  # a number to the power of each tensor
            _lists(name, other)
            return [norch.pow(self, e) for e in other]
        count = _lists(name, self, other)
        return [one(t, o, alpha) for t, o in zip(self, _each(other, count))]

    def function_(self: list[Tensor], other: Any, *, alpha: Any = 1) -> None:
        count = _lists(name, self, other)
        for t, o in zip(self, _each(other, count)):
            if has_alpha:
                getattr(t, op + "_")(o, alpha=alpha)
            elif op in ("maximum", "minimum"):
                t.copy_(one(t, o, alpha))
            else:
                getattr(t, op + "_")(o)

    return function, function_


def _pointwise(name: str) -> tuple[Callable[..., Any], Callable[..., Any]]:
    method, in_place = getattr(Tensor, name), getattr(Tensor, name + "_")

    def values(value: Any, scalars: Any, count: int) -> Any:
        chosen = value if scalars is None else scalars
        return _each(chosen.tolist() if isinstance(chosen, Tensor) else chosen, count)

    def function(self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> list[Tensor]:
        count = _lists(name, self, tensor1, tensor2, value, scalars)
        return [method(t, a, b, value=v) for t, a, b, v in zip(self, tensor1, tensor2, values(value, scalars, count))]

    def function_(self: Any, tensor1: Any, tensor2: Any, value: Any = 1, *, scalars: Any = None) -> None:
        count = _lists(name, self, tensor1, tensor2, value, scalars)
        for t, a, b, v in zip(self, tensor1, tensor2, values(value, scalars, count)):
            in_place(t, a, b, value=v)

    return function, function_


def _foreach_lerp(self: list[Tensor], tensors1: list[Tensor], weight: Any) -> list[Tensor]:
    """tensor + weight * (end - tensor)."""
    count = _lists("lerp", self, tensors1, weight)
    return [t.lerp(e, w) for t, e, w in zip(self, tensors1, _each(weight, count))]


def _foreach_lerp_(self: list[Tensor], tensors1: list[Tensor], weight: Any) -> None:
    """Changes each tensor to tensor + weight * (end - tensor)."""
    count = _lists("lerp_", self, tensors1, weight)
    for t, e, w in zip(self, tensors1, _each(weight, count)):
        t.lerp_(e, w)


def _foreach_copy_(self: list[Tensor], src: list[Tensor], non_blocking: bool = False) -> None:
    """Copies each source into its tensor."""
    _lists("copy_", self, src)
    for t, s in zip(self, src):
        t.copy_(s, non_blocking=non_blocking)


def _foreach_zero_(self: list[Tensor]) -> None:
    """Makes all elements 0."""
    _lists("zero_", self)
    for t in self:
        t.zero_()


def _foreach_norm(self: list[Tensor], ord: float = 2, dtype: Any = None) -> list[Tensor]:
    """The vector norm of each tensor."""
    _lists("norm", self)
    return [norch.linalg.vector_norm(t, ord, dtype=dtype) for t in self]


def _foreach_max(self: list[Tensor]) -> list[Tensor]:
    """The largest element of each tensor."""
    _lists("max", self)
    return [t.max() for t in self]


def _make() -> dict[str, Any]:
    made: dict[str, Any] = {}
    for names, maker in ((_UNARY, _unary), (_BINARY, _binary), (_POINTWISE, _pointwise)):
        for name in names:
            pair = maker(name)
            for full, function in zip(("_foreach_" + name, "_foreach_" + name + "_"), pair):
                function.__name__ = function.__qualname__ = full
                function.__doc__ = f"{name} of each tensor of the list; see norch._foreach."
                made[full] = function
    return made


globals().update(_make())
