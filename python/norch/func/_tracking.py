"""How a function's inputs are told apart from everything else that requires grad, so that derivatives nest."""

from __future__ import annotations

from typing import Any, Callable, Iterable

import norch
from norch._C import Tensor
from norch.utils._pytree import tree_flatten, tree_map, tree_unflatten

__all__ = ["Traced", "check_argnums", "flat_tensors", "trace"]


def flat_tensors(api: str, tree: Any, what: str) -> tuple[list[Tensor], Any]:
    """The tensors of nested containers, and how to put them back. RuntimeError for leaves of another type."""
    leaves, spec = tree_flatten(tree)
    for leaf in leaves:
        if not isinstance(leaf, Tensor):
            raise RuntimeError(f"{api}: Expected all {what} to be tensors, got {type(leaf).__name__}")
    return leaves, spec


def check_argnums(api: str, argnums: Any, args: tuple) -> tuple[tuple[int, ...], bool]:
    """(numbers counted from 0, whether one number was given)."""
    single = isinstance(argnums, int) and not isinstance(argnums, bool)
    if not single and not (isinstance(argnums, tuple) and all(isinstance(n, int) for n in argnums)):
        raise RuntimeError(f"{api}: argnums must be an int or a tuple of ints, got {argnums!r}")
    numbers = (argnums,) if single else argnums
    if not numbers:
        raise RuntimeError(f"{api}: argnums must be non-empty")
    for n in numbers:
        if not -len(args) <= n < len(args):
            raise RuntimeError(f"{api}: Got argnum={n}, but only {len(args)} positional inputs")
    counted = tuple(n % len(args) for n in numbers)
    if len(set(counted)) != len(counted):
        raise RuntimeError(f"{api}: argnums elements must be unique, got {argnums}")
    return counted, single


def _reaches(tensors: Iterable[Tensor], own: list[Tensor]) -> bool:
    """Whether what computed the tensors starts from anything that requires grad besides `own`."""
    rest = []
    for t in tensors:
        if t.grad_fn is not None:
            rest.append(t.grad_fn)
        elif t.requires_grad and not any(t is o for o in own):
            return True
    seen = set(rest)
    while rest:
        node = rest.pop()
        leaf = getattr(node, "variable", None)
        if leaf is not None and not any(leaf is o for o in own):
            return True
        for following, _ in node.next_functions:
            if following is not None and following not in seen:
                seen.add(following)
                rest.append(following)
    return False


class Traced:
    """A run of a function: its inputs as they were tracked, its output, and what derivatives need to know of them."""

    def __init__(self, own: list[Tensor], inputs: list[Tensor], output: Any, outer: bool) -> None:
        self.own = own  # inputs that are leaves of this run
        self.inputs = inputs
        self.output = output
        self.outer = outer  # whether the caller records gradients
        leaves, self.spec = tree_flatten(output)
        self.results: list[Any] = leaves
        tensors = [t for t in leaves if isinstance(t, Tensor)]
        # What surrounds this run wants derivatives too.
        self.nested = outer and (len(own) < len(inputs) or _reaches(tensors, own))

    def released(self, tree: Any) -> Any:
        """What callers see: without a graph that begins with this run's own inputs only."""

        def release(t: Any) -> Any:
            if not isinstance(t, Tensor) or not t.requires_grad:
                return t
            return t if self.nested and _reaches([t], self.own) else t.detach()

        return tree_map(release, tree)

    def pull(self, cotangents: list[Tensor], create_graph: bool | None = None) -> list[Tensor]:
        """The gradients by the inputs; zeros where there are none."""
        if create_graph is None:
            create_graph = self.nested or (norch.is_grad_enabled() and any(c.requires_grad for c in cotangents))
        pairs = [(r, c) for r, c in zip(self.results, cotangents) if r.requires_grad]
        if not pairs:
            return [norch.zeros_like(x) for x in self.inputs]
        with norch.enable_grad():
            grads = norch.autograd.grad(
                [r for r, _ in pairs],
                self.inputs,
                [c for _, c in pairs],
                retain_graph=True,
                create_graph=create_graph,
                allow_unused=True,
            )
        return [norch.zeros_like(x) if g is None else g for x, g in zip(self.inputs, grads)]

    def linear(self) -> Callable[[list[Tensor], bool], list[Tensor]]:
        """push(tangents, create_graph): the directional derivatives of the results. The gradient is linear in what is fed
        into it, and the derivative by that is the Jacobian itself, not its transpose."""
        seeds = [norch.zeros_like(r).requires_grad_() if r.requires_grad else None for r in self.results]
        used = [(r, s) for r, s in zip(self.results, seeds) if s is not None]
        grads: tuple = (None,) * len(self.inputs)
        if used:
            with norch.enable_grad():
                grads = norch.autograd.grad(
                    [r for r, _ in used], self.inputs, [s for _, s in used], create_graph=True, allow_unused=True
                )

        def push(tangents: list[Tensor], create_graph: bool) -> list[Tensor]:
            pairs = [(g, t) for g, t in zip(grads, tangents) if g is not None and g.requires_grad]
            found: dict[int, Any] = {}
            if pairs:
                wanted = [i for i, s in enumerate(seeds) if s is not None]
                with norch.enable_grad():
                    pushed = norch.autograd.grad(
                        [g for g, _ in pairs],
                        [seeds[i] for i in wanted],
                        [t for _, t in pairs],
                        retain_graph=True,
                        create_graph=create_graph,
                        allow_unused=True,
                    )
                found = dict(zip(wanted, pushed))
            return [
                norch.zeros_like(r) if found.get(i) is None else found[i] for i, r in enumerate(self.results)
            ]

        return push


def trace(api: str, func: Callable[..., Any], args: tuple, numbers: tuple[int, ...], kwargs: dict) -> Traced:
    """Runs `func` with the arguments of those numbers tracked."""
    outer = norch.is_grad_enabled()
    own: list[Tensor] = []
    inputs: list[Tensor] = []

    def track(t: Tensor) -> Tensor:
        if t.requires_grad and outer:
            t = t.view_as(t)  # a new place in the graph that leads on to the tensor
        else:
            t = t.detach().requires_grad_()
            own.append(t)
        inputs.append(t)
        return t

    with norch.enable_grad():
        given = list(args)
        for n in numbers:
            leaves, spec = flat_tensors(api, args[n], "inputs")
            given[n] = tree_unflatten([track(t) for t in leaves], spec)
        return Traced(own, inputs, func(*given, **kwargs), outer)
