"""Jacobians, Hessians and their products with vectors, of functions of tensors, as in PyTorch's
`torch.autograd.functional`. `norch.func` has the same as functions of functions."""

from __future__ import annotations

from typing import Any, Callable

import norch
from norch._C import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]


def _as_tuple(value: Any, argument: str, function: str) -> tuple[bool, tuple[Tensor, ...]]:
    """(whether it was a tuple, the tensors)."""
    is_tuple = isinstance(value, tuple)
    tensors = value if is_tuple else (value,)
    for i, t in enumerate(tensors):
        if not isinstance(t, Tensor):
            if is_tuple:
                raise TypeError(f"The {argument} given to {function} must be either a Tensor or a tuple of Tensors but the value at index {i} has type {type(t)}.")  # fmt: skip
            raise TypeError(f"The {argument} given to {function} must be either a Tensor or a tuple of Tensors but the given {argument} has type {type(t)}.")  # fmt: skip
    return is_tuple, tensors


def _tracked(inputs: tuple[Tensor, ...], create_graph: bool) -> tuple[Tensor, ...]:
    if create_graph:
        return tuple(x.view_as(x) if x.requires_grad else x.detach().requires_grad_() for x in inputs)
    return tuple(x.detach().requires_grad_() for x in inputs)


def _run(func: Callable[..., Any], inputs: tuple[Tensor, ...], function: str) -> tuple[bool, tuple[Tensor, ...]]:
    return _as_tuple(func(*inputs), "outputs of the user-provided function", function)


def _vectors(v: Any, like: tuple[Tensor, ...], is_tuple: bool, function: str, of: str) -> tuple[Tensor, ...]:
    """The vector, checked, or ones for a function of one element."""
    if v is None:
        if len(like) != 1 or like[0].numel() != 1:
            raise RuntimeError(f"{function}: the vector v can only be None if {of} is a single Tensor with a single element")
        return (norch.ones_like(like[0]),)
    _, vectors = _as_tuple(v, "v", function)
    if len(vectors) != len(like):
        raise RuntimeError(f"v is a tuple of invalid length: should be {len(like)} but got {len(vectors)}.")
    for i, (a, b) in enumerate(zip(vectors, like)):
        if a.shape != b.shape:
            where = f"Entry {i} in v" if is_tuple else "v"
            raise RuntimeError(f"{where} has invalid size: should be {b.shape} but got {a.shape}.")
    return vectors


def _check_strict(outputs: tuple, what: str, strict: bool) -> None:
    if not strict:
        return
    for i, out in enumerate(outputs):
        if out is None:
            raise RuntimeError(f"{what} {i} is independent of the inputs (or of the function's outputs). This is not allowed in strict mode.")  # fmt: skip
        if not out.requires_grad:
            raise RuntimeError(f"{what} {i} of the user-provided function does not require gradients. The outputs must be computed in a differentiable manner from the input when running in strict mode.")  # fmt: skip


def _gradients(outputs: tuple, inputs: tuple, vectors: Any, create_graph: bool) -> list[Tensor | None]:
    pairs = [(o, v) for o, v in zip(outputs, vectors) if o is not None and o.requires_grad]
    if not pairs:
        return [None] * len(inputs)
    return list(
        norch.autograd.grad(
            [o for o, _ in pairs], inputs, [v for _, v in pairs], retain_graph=True, create_graph=create_graph, allow_unused=True
        )
    )


def _filled(values: list, like: tuple[Tensor, ...], what: str, strict: bool) -> tuple[Tensor, ...]:
    for i, value in enumerate(values):
        if value is None and strict:
            raise RuntimeError(f"{what} {i} is zero because the function does not depend on it. This is not allowed in strict mode.")  # fmt: skip
    return tuple(norch.zeros_like(x) if value is None else value for value, x in zip(values, like))


def _tuple_postprocess(res: Any, to_unpack: Any) -> Any:
    """What PyTorch's functions return: not the tuple but its one element where the argument was a tensor; of a pair of
    tuples, by a pair of flags."""
    if isinstance(to_unpack, tuple):
        if len(to_unpack) != 2:
            raise AssertionError("Expected to_unpack tuple to have exactly two elements")
        if not to_unpack[1]:
            res = tuple(el[0] for el in res)
        return res if to_unpack[0] else res[0]
    return res if to_unpack else res[0]


def _grad_postprocess(inputs: Any, create_graph: bool) -> Any:
    """The tensors, also in nested tuples, without their graph unless `create_graph`."""
    if inputs and not isinstance(inputs[0], Tensor):
        return tuple(_grad_postprocess(inp, create_graph) for inp in inputs)
    return inputs if create_graph else tuple(inp.detach() for inp in inputs)


def _construct_standard_basis_for(tensors: tuple[Tensor, ...], tensor_numels: tuple[int, ...]) -> tuple[Tensor, ...]:
    """The rows of an identity matrix over all elements of the tensors, cut into a part for each: (all, its elements)."""
    eye = norch.eye(sum(tensor_numels))
    return tuple(part.to(t) for part, t in zip(eye.split(list(tensor_numels), dim=1), tensors))


def _given(values: tuple[Tensor, ...], is_tuple: bool, create_graph: bool) -> Any:
    if not create_graph:
        values = tuple(v.detach() for v in values)
    return values if is_tuple else values[0]


def vjp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), v times the Jacobian of func): `v` is like the output, and may be left out where that has one
    element. With strict, RuntimeError where an output does not depend on an input; else zeros.

        >>> norch.autograd.functional.vjp(norch.exp, norch.zeros(2), norch.ones(2))
        (tensor([1., 1.]), tensor([1., 1.]))"""
    with norch.enable_grad():
        is_tuple, given = _as_tuple(inputs, "inputs", "vjp")
        tracked = _tracked(given, create_graph)
        out_tuple, outputs = _run(func, tracked, "vjp")
        _check_strict(outputs, "Output", strict)
        vectors = _vectors(v, outputs, out_tuple, "vjp", "the user-provided function's output")
        keep = create_graph
        result = _filled(_gradients(outputs, tracked, vectors, keep), tracked, "The vjp of input", strict)
    return _given(outputs, out_tuple, create_graph), _given(result, is_tuple, create_graph)


def _pushed(outputs: tuple, tracked: tuple, vectors: tuple, create_graph: bool) -> list[Tensor | None]:
    """The Jacobian times a vector: the derivative, by what is fed into it, of the gradient."""
    seeds = tuple(norch.zeros_like(o).requires_grad_() for o in outputs)
    grads = _gradients(outputs, tracked, seeds, True)
    return _gradients(tuple(grads), seeds, vectors, create_graph)


def jvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), the Jacobian of func times v): `v` is like the inputs, and may be left out where those have one
    element. It takes two backward passes.

        >>> norch.autograd.functional.jvp(norch.exp, norch.zeros(2), norch.ones(2))
        (tensor([1., 1.]), tensor([1., 1.]))"""
    with norch.enable_grad():
        is_tuple, given = _as_tuple(inputs, "inputs", "jvp")
        tracked = _tracked(given, create_graph)
        vectors = _vectors(v, tracked, is_tuple, "jvp", "the input to the user-provided function")
        out_tuple, outputs = _run(func, tracked, "jvp")
        _check_strict(outputs, "Output", strict)
        result = _filled(_pushed(outputs, tracked, vectors, create_graph), outputs, "The jvp of output", strict)
    return _given(outputs, out_tuple, create_graph), _given(result, out_tuple, create_graph)


def _one_hot(like: Tensor, i: int) -> Tensor:
    seed = norch.zeros(like.numel(), dtype=like.dtype, device=like.device)
    seed[i] = 1
    return seed.reshape(like.shape)


def jacobian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of func: for one input and one output a tensor of the output's shape followed by the input's; else a
    tuple for each output, of a tuple for each input. `vectorize` has no effect; strategy="forward-mode" goes through the
    elements of the inputs instead of the outputs'.

        >>> norch.autograd.functional.jacobian(lambda x: x ** 2, norch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])"""
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(f'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: If your function has more outputs than inputs, "forward-mode" tends to be more performant. Otherwise, prefer to use "reverse-mode". Got {strategy!r}')  # fmt: skip
    with norch.enable_grad():
        is_tuple, given = _as_tuple(inputs, "inputs", "jacobian")
        tracked = _tracked(given, create_graph)
        out_tuple, outputs = _run(func, tracked, "jacobian")
        _check_strict(outputs, "Output", strict)
        rows: list[list[Tensor]]
        if strategy == "reverse-mode":
            rows = []
            for out in outputs:
                passes = [
                    _filled(_gradients((out,), tracked, (_one_hot(out.detach(), i),), create_graph), tracked, "The Jacobian by input", strict)
                    for i in range(out.numel())
                ]
                rows.append([_joined([p[k] for p in passes], out, x, False) for k, x in enumerate(tracked)])
        else:
            rows = [[] for _ in outputs]
            for which, x in enumerate(tracked):
                passes = []
                for i in range(x.numel()):
                    vectors = tuple(_one_hot(t.detach(), i) if k == which else norch.zeros_like(t) for k, t in enumerate(tracked))
                    passes.append(_filled(_pushed(outputs, tracked, vectors, create_graph), outputs, "The Jacobian of output", strict))
                for k, out in enumerate(outputs):
                    rows[k].append(_joined([p[k] for p in passes], out, x, True))
    if not create_graph:
        rows = [[block.detach() for block in row] for row in rows]
    result = tuple(tuple(row) if is_tuple else row[0] for row in rows)
    return result if out_tuple else result[0]


def _joined(parts: list[Tensor], out: Tensor, x: Tensor, by_columns: bool) -> Tensor:
    shape = (*out.shape, *x.shape)
    if not parts:
        return out.new_zeros(shape)
    return norch.stack(parts, -1 if by_columns else 0).reshape(shape)


def _scalar_output(func: Callable[..., Any], function: str) -> Callable[..., Any]:
    def checked(*inputs: Any) -> Tensor:
        out = func(*inputs)
        is_tuple, outputs = _as_tuple(out, "outputs of the user-provided function", function)
        if is_tuple:
            raise RuntimeError(f"The function given to {function} should return a single Tensor")
        if outputs[0].numel() != 1:
            raise RuntimeError(f"The Tensor returned by the function given to {function} should contain a single element")
        return outputs[0].squeeze()

    return checked


def hessian(
    func: Callable[..., Any],
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of func, which returns one element: a tensor of the input's shape twice, or for a tuple of
    inputs a tuple of tuples.

        >>> norch.autograd.functional.hessian(lambda x: (x ** 3).sum(), norch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])"""
    if outer_jacobian_strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError('Expected strategy to be either "forward-mode" or "reverse-mode".')
    is_tuple, given = _as_tuple(inputs, "inputs", "hessian")
    scalar = _scalar_output(func, "hessian")

    def gradient(*args: Tensor) -> Any:
        rows = jacobian(scalar, args, create_graph=True, strict=strict)
        return rows

    result = jacobian(gradient, given, create_graph=create_graph, strict=strict, strategy=outer_jacobian_strategy)
    return result if is_tuple else result[0][0]


def _gradient_of(func: Callable[..., Any], inputs: Any, v: Any, create_graph: bool, strict: bool, function: str) -> tuple:
    is_tuple, given = _as_tuple(inputs, "inputs", function)
    tracked = _tracked(given, create_graph)
    vectors = _vectors(v, tracked, is_tuple, function, "the input to the user-provided function")
    out = _scalar_output(func, function)(*tracked)
    _check_strict((out,), "Output", strict)
    grads = _gradients((out,), tracked, (norch.ones_like(out),), True)
    _check_strict(tuple(grads), "The gradient by input", strict)
    return is_tuple, tracked, vectors, out, grads


def vhp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), v times the Hessian of func), for a func that returns one element.

        >>> norch.autograd.functional.vhp(lambda x: (x ** 3).sum(), norch.ones(2), norch.ones(2))
        (tensor(2.), tensor([6., 6.]))"""
    with norch.enable_grad():
        is_tuple, tracked, vectors, out, grads = _gradient_of(func, inputs, v, create_graph, strict, "vhp")
        result = _filled(_gradients(tuple(grads), tracked, vectors, create_graph), tracked, "The vhp of input", strict)
    return _given((out,), False, create_graph), _given(result, is_tuple, create_graph)


def hvp(func: Callable[..., Any], inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False) -> tuple:
    """(func(*inputs), the Hessian of func times v), for a func that returns one element. The Hessian is symmetric wherever
    the second derivatives are continuous, and then vhp is the same for less work.

        >>> norch.autograd.functional.hvp(lambda x: (x ** 3).sum(), norch.ones(2), norch.ones(2))
        (tensor(2.), tensor([6., 6.]))"""
    with norch.enable_grad():
        is_tuple, tracked, vectors, out, grads = _gradient_of(func, inputs, v, create_graph, strict, "hvp")
        seeds = tuple(norch.zeros_like(x).requires_grad_() for x in tracked)
        twice = _gradients(tuple(grads), tracked, seeds, True)
        result = _filled(_gradients(tuple(twice), seeds, vectors, create_graph), tracked, "The hvp of input", strict)
    return _given((out,), False, create_graph), _given(result, is_tuple, create_graph)
