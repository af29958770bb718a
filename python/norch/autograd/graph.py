"""The graph that backward passes run: its nodes, hooks on them, and hooks on what it keeps."""

from __future__ import annotations

import contextlib
import functools
import weakref
from collections.abc import Iterable, Mapping, Sequence
from types import TracebackType
from typing import Any, Callable, Iterator, NamedTuple

import norch
from norch._C import Tensor, _autograd

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]

#: The type of Tensor.grad_fn: name(), next_functions, metadata (a dict for notes), register_hook(fn) and
#: register_prehook(fn).
Node = _autograd.Node


class GradientEdge(NamedTuple):
    """A place in the graph: output `output_nr` of `node`. backward() and grad() take it in a tensor's place."""

    node: Any
    output_nr: int
    ownership_token: Any = None


def get_gradient_edge(tensor: Any) -> GradientEdge:
    """Where the gradient of a tensor goes. RuntimeError if it requires none.

        >>> x = norch.ones(2, requires_grad=True)
        >>> edge = norch.autograd.graph.get_gradient_edge(x * 3)
        >>> edge.node.name()
        'MulBackward0'"""
    if not tensor.requires_grad:
        raise RuntimeError("It is not possible to get the gradient edge for a Tensor that does not require gradients")
    node, output_nr = _autograd.gradient_edge(tensor)
    return GradientEdge(node, output_nr)


def as_tensors(values: Any) -> Any:
    """Tensors and edges, one or several, as tensors only. Anything else stays as it is, for the error to name it."""
    if isinstance(values, GradientEdge):
        return _autograd.output_of(values.node, values.output_nr)
    if isinstance(values, (Tensor, str, Mapping)) or not isinstance(values, Iterable):
        return values
    return [_autograd.output_of(v.node, v.output_nr) if isinstance(v, GradientEdge) else v for v in values]


def increment_version(tensor: Any) -> None:
    """Counts a write to the tensor, or to each of several, that norch can't see, so that backward passes which need the
    former values raise."""
    for t in (tensor,) if isinstance(tensor, Tensor) else tensor:
        _autograd.increment_version(t)


class NodeHookHandle:
    """Removes a node's hook: by remove(), or at the end of a with block."""

    def __init__(self, node: Any, number: int) -> None:
        self._node = node
        self.id = number

    def remove(self) -> None:
        """The hook is called no longer."""
        self._node._remove_hook(self.id)

    def __enter__(self) -> NodeHookHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


class saved_tensors_hooks:
    """In the block, every tensor that an operation keeps for backward is handed to `pack_hook(tensor)`, and what that returns
    is kept in its place; `unpack_hook` of it gives the tensor back, with the same shape, dtype and values. Blocks may be
    nested, the innermost counts. What the hooks themselves compute is kept as it is.

        >>> x = norch.ones(2, requires_grad=True)
        >>> with norch.autograd.graph.saved_tensors_hooks(lambda t: t.tolist(), norch.tensor):
        ...     y = x * x
        >>> y.sum().backward()
        >>> x.grad
        tensor([2., 2.])"""

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        _autograd.push_saving_hooks(self.pack_hook, self.unpack_hook)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        _autograd.pop_saving_hooks()


class save_on_cpu(saved_tensors_hooks):
    """In the block, what operations keep for backward is kept in the CPU's memory, and copied back to its device when
    backward needs it. `pin_memory` lets the copies to GPUs overlap with work there, where page-locked memory is to be
    had.

        >>> x = norch.ones(2, requires_grad=True)
        >>> with norch.autograd.graph.save_on_cpu():
        ...     y = x.exp()
        >>> y.sum().backward()"""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        def pack(tensor: Tensor) -> tuple[Any, Tensor]:
            if not pin_memory:
                return tensor.device, tensor.cpu()
            copy = norch.empty(tensor.size(), dtype=tensor.dtype)
            if norch.cuda.is_available():
                copy = copy.pin_memory()
            copy.copy_(tensor)
            return tensor.device, copy

        def unpack(packed: tuple[Any, Tensor]) -> Tensor:
            device, tensor = packed
            return tensor.to(device, non_blocking=pin_memory)

        super().__init__(pack, unpack)


class _Copies:
    """What allow_mutation_on_saved_tensors gives: nothing to look at."""

    def clear(self) -> None:
        """Does nothing: the copies belong to the graph."""


@contextlib.contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[_Copies]:
    """In the block, tensors that operations keep for backward may be overwritten later: they are kept as copies.

    >>> x = norch.ones(2, requires_grad=True)
    >>> with norch.autograd.graph.allow_mutation_on_saved_tensors():
    ...     y = x * 2
    ...     z = y * y
    ...     _ = y.zero_()
    >>> z.sum().backward()
    >>> x.grad
    tensor([8., 8.])"""
    with saved_tensors_hooks(lambda t: t.clone(), lambda t: t):
        yield _Copies()


@contextlib.contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """In the block, saved_tensors_hooks raises RuntimeError with this text."""
    before = _autograd.forbid_saving_hooks(error_message)
    try:
        yield
    finally:
        _autograd.forbid_saving_hooks(before)


class _MultiHandle:
    def __init__(self, handles: list) -> None:
        self.handles = tuple(handles)

    def remove(self) -> None:
        for handle in self.handles:
            handle.remove()

    def __enter__(self) -> _MultiHandle:
        return self

    def __exit__(self, *error: Any) -> None:
        self.remove()


def _reached(tensor: Tensor) -> Callable[[], bool]:
    """Whether the backward pass that runs computes the tensor's gradient."""
    node = get_gradient_edge(tensor).node
    if tensor.is_leaf:
        reference = weakref.ref(tensor)

        def of_leaf() -> bool:
            leaf = reference()
            return leaf is not None and _autograd.current_pass_reaches(leaf)

        return of_leaf
    return functools.partial(_autograd.current_pass_runs, node._sequence_nr())


def register_multi_grad_hook(tensors: Sequence[Tensor], fn: Any, *, mode: str = "all") -> Any:
    """A hook on the gradients of several tensors. mode "all": in each backward pass, once all of them that the pass reaches
    have their gradients, `fn` is called with a list of the gradients, None for those that it does not reach. mode "any":
    `fn` is called with the first gradient. Returns a handle with remove().

        >>> x, y = norch.ones(1, requires_grad=True), norch.ones(1, requires_grad=True)
        >>> handle = norch.autograd.graph.register_multi_grad_hook([x, y], lambda grads: print(grads))
        >>> (x * 2 + y * 3).backward()
        [tensor([2.]), tensor([3.])]"""
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    # Leaves by weak reference, others by their nodes' numbers: hooks that hold a node would keep it alive for ever.
    reached: list[Callable[[], bool]] = [_reached(t) for t in tensors]
    running = {"pass": -1, "expected": 0, "seen": 0}
    found: list[Tensor | None] = []

    def begin() -> None:
        number = _autograd.current_pass()
        if running["pass"] == number:
            return
        running.update({"pass": number, "seen": 0, "expected": sum(r() for r in reached)})
        found[:] = [None] * len(reached)

    def hook_of(place: int) -> Callable[[Tensor], None]:
        def arrived(grad: Tensor) -> None:
            begin()
            running["seen"] += 1
            if mode == "any":
                if running["seen"] == 1:
                    fn(grad)
                return
            found[place] = grad
            if running["seen"] == running["expected"]:
                complete, found[:] = list(found), []
                running["pass"] = -1
                fn(complete)

        return arrived

    return _MultiHandle([t.register_hook(hook_of(i)) for i, t in enumerate(tensors)])
