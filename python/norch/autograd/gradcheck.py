"""Compares analytic gradients with finite differences."""

from __future__ import annotations

from typing import Any, Callable, Sequence

import norch
from norch._C import Tensor


class GradcheckError(RuntimeError):
    """The gradients differ."""


def _tuple(x: Any) -> tuple:
    return tuple(x) if isinstance(x, (tuple, list)) else (x,)


def _differentiable_outputs(result: Any) -> list[Tensor]:
    return [o for o in _tuple(result) if isinstance(o, Tensor) and o.requires_grad]


def _float_outputs(result: Any) -> list[Tensor]:
    return [o for o in _tuple(result) if isinstance(o, Tensor) and o.is_floating_point()]


def _by_parts(func: Callable, inputs: tuple) -> tuple[Callable, tuple]:
    """The function and its inputs with complex numbers as pairs of real ones: autograd's gradient of a complex tensor
    is dL/d(real) + i dL/d(imag), so that checking the pairs checks it."""
    is_pair = [isinstance(x, Tensor) and x.is_complex() for x in inputs]

    def of_parts(*parts: Any) -> tuple:
        with norch.enable_grad():  # the function may differentiate by its inputs
            given = [norch.view_as_complex(p) if pair else p for p, pair in zip(parts, is_pair)]
        result = func(*given)
        return tuple(
            norch.view_as_real(o) if isinstance(o, Tensor) and o.is_complex() else o for o in _tuple(result)
        )

    parts = tuple(
        norch.view_as_real(x.detach()).clone().requires_grad_(x.requires_grad) if pair else x
        for x, pair in zip(inputs, is_pair)
    )
    return of_parts, parts


def _numeric_jacobians(function: Callable, inputs: tuple, x: Tensor, eps: float) -> list[list[list[float]]]:
    """For each output, d(output element) / d(x element) by central differences, as rows over x's elements."""
    flat = x.data.reshape(-1) if x.is_contiguous() else None
    values = x.detach().reshape(-1).tolist()
    rows: list[list[list[float]]] = []
    for i in range(x.numel()):
        sides = []
        for sign in (1.0, -1.0):
            if flat is not None:
                flat[i] = values[i] + sign * eps
                result = function(*inputs)
            else:
                moved = x.detach().clone()
                moved.reshape(-1)[i] = values[i] + sign * eps
                x.data.copy_(moved)
                result = function(*inputs)
            sides.append([o.detach().reshape(-1).tolist() for o in _float_outputs(result)])
        if flat is not None:
            flat[i] = values[i]
        else:
            back = x.detach().clone()
            back.reshape(-1)[i] = values[i]
            x.data.copy_(back)
        rows.append([[(a - b) / (2 * eps) for a, b in zip(up, down)] for up, down in zip(*sides)])
    return [[row[k] for row in rows] for k in range(len(rows[0]))] if rows else []


def _close(a: float, n: float, atol: float, rtol: float) -> bool:
    if a != a or n != n:
        return a != a and n != n
    return abs(a - n) <= atol + rtol * abs(n)


def _refuse(name: str, **checks: bool) -> None:
    for check, wanted in checks.items():
        if wanted:
            raise NotImplementedError(f"{name}: {check} needs vmap or forward-mode differentiation, which norch does not have")


def _dependence(func: Callable, inputs: tuple, wanted: list[Tensor], eps: float, atol: float) -> str | None:
    """How a function whose outputs require no grad depends on its inputs; None if it is constant around them."""
    with norch.no_grad():
        for which, x in enumerate(wanted):
            for block in _numeric_jacobians(func, inputs, x, eps):
                if any(abs(v) > atol for row in block for v in row):
                    return (
                        f"Numerical gradient for function expected to be zero: none of the outputs require grad, "
                        f"but they depend on input {which}"
                    )
    return None


def _disagreement(
    func: Callable,
    inputs: tuple,
    wanted: list[Tensor],
    eps: float,
    atol: float,
    rtol: float,
    nondet_tol: float,
    check_grad_dtypes: bool,
) -> str | None:
    """The first place where the analytic gradient is not the numeric one, or changes from pass to pass."""
    for which, x in enumerate(wanted):
        with norch.no_grad():
            numeric = _numeric_jacobians(func, inputs, x, eps)
        outputs = _float_outputs(func(*inputs))
        for k, out in enumerate(outputs):
            if not out.requires_grad:
                continue
            for j in range(out.numel()):
                seed = norch.zeros(out.numel(), dtype=out.dtype, device=out.device)
                seed[j] = 1
                seed = seed.reshape(out.shape)
                (g,) = norch.autograd.grad(out, x, seed, retain_graph=True, allow_unused=True)
                analytic = [0.0] * x.numel() if g is None else g.reshape(-1).tolist()
                if g is not None and check_grad_dtypes and g.dtype is not x.dtype:
                    return f"gradcheck: the gradient of input {which} has dtype {g.dtype}, not {x.dtype}"
                for i, a in enumerate(analytic):
                    n = numeric[k][i][j]
                    if not _close(a, n, atol, rtol):
                        return (
                            f"Jacobian mismatch for output {k} with respect to input {which}: d(output[{j}])/d(input[{i}]) "
                            f"is {a} analytically, {n} numerically"
                        )
                if nondet_tol == 0.0 and g is not None:
                    (again,) = norch.autograd.grad(out, x, seed, retain_graph=True, allow_unused=True)
                    if again.reshape(-1).tolist() != analytic and not any(v != v for v in analytic):
                        return f"Backward is not reentrant: two passes gave different gradients for input {which}"
    return None


def gradcheck(
    func: Callable,
    inputs: Any,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """gradcheck(func, inputs, *, eps=1e-6, atol=1e-5, rtol=1e-3, raise_exception=True, nondet_tol=0.0) -> bool

    Whether the analytic gradients of `func` at `inputs` (float64 or complex128 tensors that require grad) agree with central
    differences of step `eps`: |analytic - numeric| <= atol + rtol * |numeric|. Raises GradcheckError if not, unless
    `raise_exception` is false. As in PyTorch, outputs that don't require grad must not depend on the inputs where no
    output does. Every output's gradient is fed in alone, the others undefined (`check_undefined_grad`), and every
    element is compared (also with `fast_mode`).

        >>> x = norch.tensor([1.0, 2.0], dtype=norch.float64, requires_grad=True)
        >>> norch.autograd.gradcheck(norch.exp, x)
        True
    """
    _refuse("gradcheck", check_batched_grad=check_batched_grad, check_batched_forward_grad=check_batched_forward_grad,
            check_forward_ad=check_forward_ad)
    if not check_backward_ad:
        return True

    func, inputs = _by_parts(func, _tuple(inputs))
    wanted = [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]
    if not wanted:
        raise ValueError("gradcheck expects at least one input tensor to require gradient, but none of the them have requires_grad=True.")
    for x in wanted:
        if x.dtype is not norch.float64:
            import warnings

            warnings.warn("gradcheck: an input is not of double precision; the check will likely fail", stacklevel=2)
    if any(o.requires_grad for o in _float_outputs(func(*inputs))):
        found = _disagreement(func, inputs, wanted, eps, atol, rtol, nondet_tol, check_grad_dtypes)
    else:
        found = _dependence(func, inputs, wanted, eps, atol)
    if found is not None and raise_exception:
        raise GradcheckError(found)
    return found is None


def gradgradcheck(
    func: Callable,
    inputs: Any,
    grad_outputs: Sequence[Tensor] | Tensor | None = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """gradgradcheck(func, inputs, grad_outputs=None, *, eps=1e-6, atol=1e-5, rtol=1e-3, ...) -> bool

    gradcheck of the gradient of `func`: whether double backward is right. The gradients fed in are random (strided if
    `gen_non_contig_grad_outputs`), or `grad_outputs`.

        >>> x = norch.tensor([1.0, 2.0], dtype=norch.float64, requires_grad=True)
        >>> norch.autograd.gradgradcheck(norch.exp, x)
        True
    """
    _refuse("gradgradcheck", check_batched_grad=check_batched_grad, check_fwd_over_rev=check_fwd_over_rev)
    if not check_rev_over_rev:
        return True
    inputs = _tuple(inputs)
    outputs = _differentiable_outputs(func(*inputs))
    if grad_outputs is None:
        seeds = tuple(norch.randn(o.shape, dtype=o.dtype, device=o.device) for o in outputs)
        if gen_non_contig_grad_outputs:
            seeds = tuple(norch.stack([g, g], -1)[..., 0] for g in seeds)
        seeds = tuple(g.detach().requires_grad_() for g in seeds)
    else:
        seeds = _tuple(grad_outputs)
    wanted = [i for i, x in enumerate(inputs) if isinstance(x, Tensor) and x.requires_grad]

    def first_gradients(*args: Any) -> tuple:
        x, g = args[: len(inputs)], args[len(inputs) :]
        with norch.enable_grad():
            results = _differentiable_outputs(func(*x))
            grads = norch.autograd.grad(results, [x[i] for i in wanted], g, create_graph=True, allow_unused=True)
        return tuple(v for v in grads if v is not None)

    return gradcheck(
        first_gradients,
        inputs + seeds,
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        fast_mode=fast_mode,
        masked=masked,
    )
