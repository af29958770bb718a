"""Nodes of a graph: one call each."""

from __future__ import annotations

import builtins
import types
from typing import TYPE_CHECKING, Any, Callable, Iterator

import norch
from norch import overrides

if TYPE_CHECKING:
    from .graph import Graph

__all__ = ["Argument", "Node", "Target", "has_side_effect", "map_aggregate", "map_arg"]

Argument = Any  # nested tuples, lists, dicts and slices of nodes and plain values
Target = Any  # a function for call_function, else a name

OPS = ("placeholder", "call_method", "call_module", "call_function", "get_attr", "output")
_with_side_effects: set[Callable] = {norch._assert}


def has_side_effect(fn: Callable) -> Callable:
    """Marks a function whose calls are kept though nobody uses their results; returns it."""
    _with_side_effects.add(fn)
    return fn


def map_aggregate(a: Argument, fn: Callable[[Any], Any]) -> Argument:
    """`a` with every leaf x of its tuples, lists, dicts and slices replaced by fn(x)."""
    if isinstance(a, tuple):
        mapped = [map_aggregate(x, fn) for x in a]
        return type(a)(*mapped) if hasattr(a, "_fields") else type(a)(mapped)
    if isinstance(a, list):
        return type(a)(map_aggregate(x, fn) for x in a)
    if isinstance(a, dict):
        return type(a)((k, map_aggregate(v, fn)) for k, v in a.items())
    if isinstance(a, slice):
        return slice(map_aggregate(a.start, fn), map_aggregate(a.stop, fn), map_aggregate(a.step, fn))
    return fn(a)


def map_arg(a: Argument, fn: Callable[[Node], Any]) -> Argument:
    """`a` with every node n in it replaced by fn(n)."""
    if not callable(fn):
        raise AssertionError("map_arg: fn must be callable")
    return map_aggregate(a, lambda x: fn(x) if isinstance(x, Node) else x)


def qualified_name(function: Callable) -> str:
    """Where the function is found, as an expression: 'norch.relu', 'operator.add'."""
    public = overrides.resolve_name(function)
    if public is not None:
        return "norch" + public[len("torch") :]
    if getattr(builtins, getattr(function, "__name__", ""), None) is function:
        return function.__name__
    if isinstance(function, (types.MethodDescriptorType, types.WrapperDescriptorType)):
        return f"{function.__objclass__.__module__}.{function.__objclass__.__name__}.{function.__name__}"
    module = getattr(function, "__module__", None) or ""
    return f"{module}.{function.__name__}".replace("_operator.", "operator.").lstrip(".")


class Node:
    """A call in a `Graph`.

    `op` is one of placeholder (an input; `target` is its name), get_attr (a parameter or buffer of the module; its
    path), call_function (`target` is the function), call_method (its name; args[0] is the object), call_module (the
    submodule's path) and output (args[0] is what the graph returns). `args` and `kwargs` hold other nodes where values
    of theirs are used. `users` are the nodes that use this one's value, `meta` is for whoever works on the graph.
    """

    def __init__(
        self, graph: Graph, name: str, op: str, target: Target, args: tuple, kwargs: dict, return_type: Any = None
    ) -> None:
        if op not in OPS:
            raise AssertionError(f"Node: unknown op {op!r}; expected one of {', '.join(OPS)}")
        if op == "call_function" and not callable(target):
            raise ValueError(f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} "
                             "but a Callable is expected")  # fmt: skip
        if op != "call_function" and not isinstance(target, str):
            raise ValueError(f"Node [graph = {graph}, name = '{name}'] target {target} has type {type(target)} "
                             "but a str is expected")  # fmt: skip
        self.graph = graph
        self.name = name
        self.op = op
        self.target = target
        self.type = return_type
        self.users: dict[Node, None] = {}
        self.meta: dict[str, Any] = {}
        self._input_nodes: dict[Node, None] = {}
        self._prev = self._next = self
        self._erased = False
        self._set(args, kwargs)

    # -- inputs

    def _set(self, args: tuple, kwargs: dict) -> None:
        for old in self._input_nodes:
            old.users.pop(self, None)
        self._args, self._kwargs = args, kwargs
        self._input_nodes = {}
        map_arg((args, kwargs), lambda n: self._input_nodes.setdefault(n))
        for new in self._input_nodes:
            new.users.setdefault(self)

    @property
    def args(self) -> tuple:
        """The positional arguments; assigning them updates `users` of the nodes concerned."""
        return self._args

    @args.setter
    def args(self, args: tuple) -> None:
        self._set(tuple(args), self._kwargs)

    @property
    def kwargs(self) -> dict[str, Argument]:
        """The keyword arguments, as `args`."""
        return self._kwargs

    @kwargs.setter
    def kwargs(self, kwargs: dict[str, Argument]) -> None:
        self._set(self._args, dict(kwargs))

    @property
    def all_input_nodes(self) -> list[Node]:
        """The nodes among the arguments, each once."""
        return list(self._input_nodes)

    def update_arg(self, idx: int, arg: Argument) -> None:
        """Replaces one positional argument."""
        args = list(self.args)
        args[idx] = arg
        self.args = tuple(args)

    def insert_arg(self, idx: int, arg: Argument) -> None:
        """Inserts a positional argument."""
        if not 0 <= idx <= len(self.args):
            raise AssertionError("insert_args index must be between 0 and len(self.args)")
        self.args = (*self.args[:idx], arg, *self.args[idx:])

    def update_kwarg(self, key: str, arg: Argument) -> None:
        """Replaces or adds one keyword argument."""
        self.kwargs = {**self.kwargs, key: arg}

    def replace_input_with(self, old_input: Node, new_input: Node) -> None:
        """Uses `new_input` wherever `old_input` stands among the arguments."""

        def new(n: Node) -> Node:
            return new_input if n is old_input else n

        self._set(map_arg(self.args, new), map_arg(self.kwargs, new))

    def replace_all_uses_with(
        self, replace_with: Node, delete_user_cb: Callable[[Node], bool] = lambda user: True, *, propagate_meta: bool = False
    ) -> list[Node]:
        """Makes the users for which `delete_user_cb` holds use another node; returns them."""
        if propagate_meta:
            replace_with.meta.update(self.meta)
        changed = [user for user in list(self.users) if delete_user_cb(user)]
        for user in changed:
            user.replace_input_with(self, replace_with)
        return changed

    # -- place in the graph

    @property
    def next(self) -> Node:
        """The node after this one."""
        return self._next

    @property
    def prev(self) -> Node:
        """The node before this one."""
        return self._prev

    def prepend(self, x: Node) -> None:
        """Moves `x`, a node of the same graph, to right before this one."""
        if self.graph is not x.graph:
            raise AssertionError("Attempting to move a Node into a different Graph")
        if x is self:
            return
        x._unlink()
        before = self._prev
        before._next, x._prev = x, before
        x._next, self._prev = self, x

    def append(self, x: Node) -> None:
        """Moves `x` to right after this one."""
        self._next.prepend(x)

    def _unlink(self) -> None:
        self._prev._next, self._next._prev = self._next, self._prev
        self._prev = self._next = self

    # -- questions

    def is_impure(self, impure_random: bool = True) -> bool:
        """Whether the node has to stay though nobody uses it."""
        if self.op in ("placeholder", "output"):
            return True
        if self.op == "call_function":
            name = getattr(self.target, "__name__", "")
            return self.target in _with_side_effects or (name.endswith("_") and not name.endswith("__"))
        if self.op == "call_method":
            return self.target.endswith("_") and not self.target.endswith("__")
        return False

    @property
    def stack_trace(self) -> str | None:
        """Where the call stands in the program, if that was recorded."""
        return self.meta.get("stack_trace")

    # -- text

    def _pretty_target(self) -> str:
        return qualified_name(self.target) if callable(self.target) else str(self.target)

    def format_node(self, placeholder_names: list[str] | None = None, maybe_return_typename: list[str] | None = None) -> str:
        """One line of `str(graph)`."""
        if self.op == "output":
            return f"return {self.args[0]}"
        head = f"%{self.name} : [num_users={len(self.users)}] = {self.op}[target={self._pretty_target()}]"
        if self.op == "placeholder":
            return f"{head}(default={self.args[0]})" if self.args else head
        if self.op == "get_attr":
            return head
        args, kwargs = (map_aggregate(a, _shown) for a in (self.args, self.kwargs))
        pairs = ", ".join(f"{key}: {value!r}" for key, value in kwargs.items())
        return f"{head}(args = {args!r}, kwargs = {{{pairs}}})"

    def __repr__(self) -> str:
        return self.name

    def __iter__(self) -> Iterator:
        raise TypeError("a Node of a graph can't be iterated over")


class _Shown(str):
    """A text whose repr is the text itself."""

    def __repr__(self) -> str:
        return str(self)


def _shown(x: Any) -> Any:
    if isinstance(x, Node):
        return _Shown(f"%{x.name}")
    if isinstance(x, str):
        return _Shown(x)
    return _Shown(qualified_name(x)) if callable(x) and hasattr(x, "__name__") else x
