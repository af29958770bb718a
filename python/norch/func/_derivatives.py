"""Derivatives of functions, as functions."""

from __future__ import annotations

import functools
from typing import Any, Callable

import norch
from norch._C import Tensor
from norch.func._tracking import Traced, check_argnums, flat_tensors, trace
from norch.utils._pytree import tree_flatten, tree_unflatten

__all__ = ["grad", "grad_and_value", "hessian", "jacfwd", "jacrev", "jvp", "linearize", "vjp"]


def _without_aux(api: str, func: Callable[..., Any], has_aux: bool, box: list) -> Callable[..., Any]:
    """`func` with the second part of its result put aside in `box`."""
    if not has_aux:
        return func

    def first_part(*args: Any, **kwargs: Any) -> Any:
        result = func(*args, **kwargs)
        if not (isinstance(result, tuple) and len(result) == 2):
            raise RuntimeError(
                f"{api}: output of function f should be a tuple: (output, aux) if has_aux is True, got {type(result).__name__}"
            )
        box[:] = [result[1]]
        return result[0]

    return first_part


def _arguments(args: tuple, numbers: tuple[int, ...], single: bool, values: list) -> Any:
    """Values of the tensors of the numbered arguments, in their containers."""
    trees, start = [], 0
    for n in numbers:
        spec = tree_flatten(args[n])[1]
        trees.append(tree_unflatten(values[start : start + spec.num_leaves], spec))
        start += spec.num_leaves
    return trees[0] if single else tuple(trees)


def grad_and_value(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """As `grad`; the new function returns (gradient, value), or (gradient, (value, aux)) with has_aux.

        >>> norch.func.grad_and_value(lambda x: x * x)(norch.tensor(3.0))
        (tensor(6.), tensor(9.))"""

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        numbers, single = check_argnums("grad_and_value", argnums, args)
        box: list = []
        run = trace("grad", _without_aux("grad_and_value", func, has_aux, box), args, numbers, kwargs)
        if not isinstance(run.output, Tensor):
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return tensor, got type " + type(run.output).__name__
            )
        if run.output.dim() != 0:
            raise RuntimeError(
                "grad_and_value(f)(*args): Expected f(*args) to return a scalar tensor, got tensor with "
                f"{run.output.dim()} dims. Maybe you wanted to use the vjp or jacrev APIs instead?"
            )
        grads = run.pull([norch.ones_like(run.output)])
        result = run.released(_arguments(args, numbers, single, grads)), run.released(run.output)
        return (result[0], (result[1], run.released(box[0]))) if has_aux else result

    return wrapper


def grad(func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False) -> Callable[..., Any]:
    """A function that computes the gradient of `func`, which returns a scalar tensor, by its argument `argnums`, or by each
    of a tuple of arguments. Arguments may be containers of tensors. It may be applied again for higher derivatives, and
    gradients flow through it. With has_aux, `func` returns (value, aux) and the new function (gradient, aux).

        >>> norch.func.grad(norch.func.grad(lambda x: x ** 3))(norch.tensor(2.0))
        tensor(12.)"""
    both = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        gradient, value = both(*args, **kwargs)
        return (gradient, value[1]) if has_aux else gradient

    return wrapper


def vjp(func: Callable[..., Any], *primals: Any, has_aux: bool = False) -> tuple:
    """(func(*primals), pull) or, with has_aux, (func(*primals), pull, aux). pull(cotangents), of the structure of the
    output, gives a tuple: the gradients of the sum of output * cotangents by each primal.

        >>> y, pull = norch.func.vjp(norch.exp, norch.zeros(2))
        >>> pull(norch.tensor([1.0, 2.0]))
        (tensor([1., 2.]),)"""
    box: list = []
    numbers = tuple(range(len(primals)))
    run = trace("vjp", _without_aux("vjp", func, has_aux, box), primals, numbers, {})
    flat_tensors("vjp(f, *primals)", run.output, "outputs of f")

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        leaves, spec = flat_tensors("vjp_fn", cotangents, "cotangents")
        if spec != run.spec:
            raise RuntimeError(
                f"Expected pytree structure of cotangents to be the same as pytree structure of outputs to the function. "
                f"cotangents: {spec}, primal output: {run.spec}"
            )
        grads = run.pull(leaves, create_graph)
        outside = run.nested or any(c.requires_grad for c in leaves)
        values = _arguments(primals, numbers, False, grads)
        return values if outside else run.released(values)

    output = run.released(run.output)
    return (output, pull, run.released(box[0])) if has_aux else (output, pull)


def _tangents(api: str, primals: Any, tangents: Any) -> list[Tensor]:
    primal_leaves, primal_spec = flat_tensors(api, primals, "primals")
    leaves, spec = flat_tensors(api, tangents, "tangents")
    if spec != primal_spec:
        raise RuntimeError(f"{api}: Expected primals and tangents to have the same python structure. For example, if primals is "
                           f"a tuple of 3 tensors, tangents also must be. Got primals with structure {primal_spec} and "
                           f"tangents with structure {spec}")  # fmt: skip
    for p, t in zip(primal_leaves, leaves):
        if p.shape != t.shape:
            raise RuntimeError(f"{api}: a tangent has shape {tuple(t.shape)}, its primal {tuple(p.shape)}")
    return leaves


def jvp(
    func: Callable[..., Any], primals: tuple, tangents: tuple, *, strict: bool = False, has_aux: bool = False
) -> tuple:
    """(func(*primals), the derivative of that in the direction of `tangents`) and aux with has_aux. primals and tangents are
    tuples of one structure. It takes two backward passes.

        >>> norch.func.jvp(norch.sin, (norch.zeros(1),), (norch.ones(1),))
        (tensor([0.]), tensor([1.]))"""
    if not isinstance(primals, tuple):
        raise RuntimeError(f"jvp(f, primals, tangents): Expected primals to be a tuple. E.g. it should be valid to call f(*primals), got {type(primals).__name__}")  # fmt: skip
    if not primals:
        raise RuntimeError("jvp(f, primals, tangents): Expected primals to be non-empty")
    directions = _tangents("jvp(f, primals, tangents)", primals, tangents)
    box: list = []
    run = trace("jvp", _without_aux("jvp", func, has_aux, box), primals, tuple(range(len(primals))), {})
    flat_tensors("jvp(f, primals, tangents)", run.output, "outputs of f")
    if strict and not all(r.requires_grad for r in run.results):
        raise RuntimeError("jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. This is not allowed with strict=True.")  # fmt: skip
    outside = run.nested or (run.outer and any(t.requires_grad for t in directions))
    derivative = tree_unflatten(run.linear()(directions, outside), run.spec)
    result = run.released(run.output), derivative if outside else run.released(derivative)
    return (*result, run.released(box[0])) if has_aux else result


def linearize(func: Callable[..., Any], *primals: Any) -> tuple:
    """(func(*primals), push): push(*tangents) is the derivative in their direction. Worth it over `jvp` for several
    directions: the function runs once.

        >>> y, push = norch.func.linearize(norch.exp, norch.zeros(2))
        >>> push(norch.tensor([1.0, 3.0]))
        tensor([1., 3.])"""
    run = trace("linearize", func, primals, tuple(range(len(primals))), {})
    flat_tensors("linearize", run.output, "outputs of f")
    apply = run.linear()

    def push(*tangents: Any) -> Any:
        directions = _tangents("linearize", primals, tangents)
        return run.released(tree_unflatten(apply(directions, run.nested), run.spec))

    return run.released(run.output), push


def _basis(like: Tensor) -> list[Tensor]:
    """One tensor for each element, 1 there and 0 elsewhere."""
    n = like.numel()
    return list(norch.eye(n, dtype=like.dtype, device=like.device).reshape(n, *like.shape)) if n else []


def _stacked(rows: list[Tensor], shape: Any, like: Tensor, dim: int) -> Tensor:
    """Rows for each element of a tensor of this shape, as one tensor."""
    if not rows:
        return like.new_zeros((*shape, *like.shape) if dim == 0 else (*like.shape, *shape))
    joined = norch.stack(rows, dim)
    return joined.reshape((*shape, *like.shape) if dim == 0 else (*like.shape, *shape))


def _jacobian(
    api: str, func: Callable[..., Any], argnums: Any, has_aux: bool, columns: Callable[[Traced], list[list[Tensor]]]
) -> Callable[..., Any]:
    @functools.wraps(func)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        numbers, single = check_argnums(api, argnums, args)
        box: list = []
        run = trace(api, _without_aux(api, func, has_aux, box), args, numbers, kwargs)
        flat_tensors(f"{api}(f, argnums={argnums})(*args)", run.output, "outputs of f")
        blocks = columns(run)  # [result][input]
        trees = [_arguments(args, numbers, single, row) for row in blocks]
        result = run.released(tree_unflatten(trees, run.spec))
        return (result, run.released(box[0])) if has_aux else result

    return wrapper


def jacrev(
    func: Callable[..., Any],
    argnums: Any = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Callable[..., Any]:
    """A function that computes the Jacobian of `func`, by rows: one backward pass for each element of its output. Blocks
    have the shape of the output, then that of the argument, and lie in the output's containers, in those the argument's.

        >>> norch.func.jacrev(lambda x: x ** 2)(norch.tensor([1.0, 2.0]))
        tensor([[2., 0.],
                [0., 4.]])"""
    if chunk_size is not None and chunk_size <= 0:
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    def rows(run: Traced) -> list[list[Tensor]]:
        blocks = []
        for which, out in enumerate(run.results):
            zeros = [norch.zeros_like(r) for r in run.results]
            passes = []
            for seed in _basis(out.detach()):
                zeros[which] = seed
                # Only this result: the others' graphs need not run.
                passes.append(Traced.pull(_only(run, which), [seed]))
            blocks.append(
                [_stacked([p[k] for p in passes], out.shape, x, 0) for k, x in enumerate(run.inputs)]
            )
        return blocks

    return _jacobian("jacrev", func, argnums, has_aux, rows)


def _only(run: Traced, which: int) -> Traced:
    part = object.__new__(Traced)
    part.__dict__.update(run.__dict__, results=[run.results[which]])
    return part


def jacfwd(
    func: Callable[..., Any], argnums: Any = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Callable[..., Any]:
    """As `jacrev`, by columns: one pass for each element of the arguments, which is less work where those are fewer than
    the elements of the output. `randomness` has no effect: the function runs once.

        >>> norch.func.jacfwd(norch.sin)(norch.zeros(2))
        tensor([[1., 0.],
                [0., 1.]])"""

    def columns(run: Traced) -> list[list[Tensor]]:
        push = run.linear()
        blocks: list[list[Tensor]] = [[] for _ in run.results]
        for which, x in enumerate(run.inputs):
            tangents = [norch.zeros_like(i.detach()) for i in run.inputs]
            passes = []
            for seed in _basis(x.detach()):
                tangents[which] = seed
                passes.append(push(tangents, run.nested))
            for k, out in enumerate(run.results):
                blocks[k].append(_stacked([p[k] for p in passes], x.shape, out, -1))
        return blocks

    return _jacobian("jacfwd", func, argnums, has_aux, columns)


def hessian(func: Callable[..., Any], argnums: Any = 0) -> Callable[..., Any]:
    """A function that computes the second derivatives of `func`: the Jacobian of its Jacobian.

        >>> norch.func.hessian(lambda x: (x ** 3).sum())(norch.tensor([1.0, 2.0]))
        tensor([[ 6.,  0.],
                [ 0., 12.]])"""
    return jacrev(jacrev(func, argnums), argnums)
