"""Graphs: lists of nodes."""

from __future__ import annotations

import builtins
import contextlib
import copy
import keyword
import re
from dataclasses import dataclass
from typing import Any, Callable, Iterator

from .codegen import CodeGen, PythonCode, write_forward
from .node import Argument, Node, Target, map_aggregate, map_arg

__all__ = ["CodeGen", "Graph", "PythonCode"]


class _Namespace:
    """Names for the values of a graph: Python identifiers, each used once."""

    _taken_by_python = set(dir(builtins)) | set(keyword.kwlist) | {"inf", "nan", "NoneType", "norch", "device", "self"}

    def __init__(self) -> None:
        self._used: set[str] = set()

    def create_name(self, candidate: str) -> str:
        candidate = re.sub(r"\W+", "_", candidate) or "_unnamed"
        if candidate[0].isdigit():
            candidate = f"_{candidate}"
        match = re.fullmatch(r"(.*)_(\d+)", candidate)
        base, number = (match[1], int(match[2])) if match else (candidate, 0)
        name = candidate
        while name in self._used or name in self._taken_by_python:
            number += 1
            name = f"{base}_{number}"
        self._used.add(name)
        return name

    def release(self, name: str) -> None:
        self._used.discard(name)


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


class Graph:
    """The calls of a program, in order. `Tracer.trace` makes one; the methods here make and rewrite them by hand.

    >>> graph = norch.fx.Graph()
    >>> x = graph.placeholder("x")
    >>> y = graph.call_function(norch.exp, (x,))
    >>> _ = graph.output(y)
    >>> print(graph)
    graph():
        %x : [num_users=1] = placeholder[target=x]
        %exp : [num_users=1] = call_function[target=norch.exp](args = (%x,), kwargs = {})
        return exp
    """

    def __init__(self, owning_module: Any = None, tracer_cls: type | None = None, tracer_extras: dict | None = None) -> None:
        self._root = Node(self, "", "placeholder", "", (), {})  # before the first and after the last node
        self._insert: Callable[[Node], None] = self._root.prepend
        self._names = _Namespace()
        self._codegen = CodeGen()
        self.owning_module = owning_module
        self._tracer_cls = tracer_cls

    # -- nodes

    @property
    def nodes(self) -> _NodeList:
        """The nodes in order: iterable, reversed() and len() too."""
        return _NodeList(self)

    def create_node(
        self,
        op: str,
        target: Target,
        args: tuple | None = None,
        kwargs: dict[str, Argument] | None = None,
        name: str | None = None,
        type_expr: Any = None,
    ) -> Node:
        """A new node at the place of insertion (the end, unless inserting_before or inserting_after says otherwise)."""
        name = self._names.create_name(name if name is not None else self._target_to_str(target))
        node = Node(self, name, op, target, tuple(args or ()), dict(kwargs or {}), type_expr)
        self._insert(node)
        return node

    def _target_to_str(self, target: Target) -> str:
        if callable(target):
            name = target.__name__
            name = name.strip("_") if name.startswith("__") and name.endswith("__") else name
        else:
            name = target.strip("_") if target.startswith("__") and target.endswith("__") else target
        return snake_case(name.replace(".", "_"))

    def placeholder(self, name: str, type_expr: Any = None, default_value: Any = ...) -> Node:
        """An input."""
        args = () if default_value is ... else (default_value,)
        return self.create_node("placeholder", name, args, type_expr=type_expr)

    def get_attr(self, qualified_name: str, type_expr: Any = None) -> Node:
        """A parameter, buffer or other attribute of the module."""
        return self.create_node("get_attr", qualified_name, type_expr=type_expr)

    def call_function(
        self, the_function: Callable, args: tuple | None = None, kwargs: dict | None = None, type_expr: Any = None, name: str | None = None
    ) -> Node:  # fmt: skip
        """A call of a function."""
        return self.create_node("call_function", the_function, args, kwargs, name=name, type_expr=type_expr)

    def call_method(
        self, method_name: str, args: tuple | None = None, kwargs: dict | None = None, type_expr: Any = None
    ) -> Node:
        """A call of a method of args[0]."""
        return self.create_node("call_method", method_name, args, kwargs, type_expr=type_expr)

    def call_module(
        self, module_name: str, args: tuple | None = None, kwargs: dict | None = None, type_expr: Any = None
    ) -> Node:
        """A call of a submodule."""
        return self.create_node("call_module", module_name, args, kwargs, type_expr=type_expr)

    def output(self, result: Argument, type_expr: Any = None) -> Node:
        """What the graph returns; the last node."""
        return self.create_node("output", "output", (result,), type_expr=type_expr)

    def output_node(self) -> Node:
        """The node of op output."""
        node = self._root._prev
        if node.op != "output":
            raise RuntimeError("the graph has no output")
        return node

    def find_nodes(self, *, op: str, target: Target | None = None, sort: bool = True) -> list[Node]:
        """The nodes of that op (and target), in order."""
        return [n for n in self.nodes if n.op == op and (target is None or n.target == target)]

    def erase_node(self, to_erase: Node) -> None:
        """Takes a node out of the graph. RuntimeError while others use it."""
        if to_erase.graph is not self:
            raise RuntimeError(f"Attempting to remove {to_erase} from wrong graph!")
        if to_erase.users:
            raise RuntimeError(f"Tried to erase Node {to_erase} but it still had {len(to_erase.users)} users in the graph: "
                               f"{to_erase.users}!")  # fmt: skip
        if to_erase._erased:
            return
        to_erase._set((), {})
        to_erase._unlink()
        to_erase._erased = True
        self._names.release(to_erase.name)

    def inserting_before(self, n: Node | None = None) -> contextlib.AbstractContextManager:
        """A context in which new nodes come right before `n` (the first node)."""
        return self._inserting((n or self._root._next).prepend)

    def inserting_after(self, n: Node | None = None) -> contextlib.AbstractContextManager:
        """A context in which new nodes come right after `n` (the last node), in order."""
        if n is None:
            return self._inserting(self._root.prepend)
        place = n

        def insert(new: Node) -> None:
            nonlocal place
            place.append(new)
            place = new

        return self._inserting(insert)

    @contextlib.contextmanager
    def _inserting(self, insert: Callable[[Node], None]) -> Iterator[None]:
        before, self._insert = self._insert, insert
        try:
            yield
        finally:
            self._insert = before

    # -- copies

    def node_copy(self, node: Node, arg_transform: Callable[[Node], Argument] = lambda x: x) -> Node:
        """A node of another graph, made here; `arg_transform` says which node here stands for one there."""
        args, kwargs = map_arg(node.args, arg_transform), map_arg(node.kwargs, arg_transform)
        new = self.create_node(node.op, node.target, args, kwargs, node.name, node.type)
        new.meta = dict(node.meta)
        return new

    def graph_copy(self, g: Graph, val_map: dict[Node, Node], return_output_node: bool = False) -> Argument | None:
        """Copies all nodes of `g` to here, but those that `val_map` maps already, and returns what g's output is here."""
        for node in g.nodes:
            if node in val_map:
                continue
            if node.op == "output":
                result = map_arg(node.args[0], lambda n: val_map[n])
                return (result, node) if return_output_node else result
            val_map[node] = self.node_copy(node, lambda n: val_map[n])
        return None

    def __deepcopy__(self, memo: dict | None = None) -> Graph:
        new = type(self)(tracer_cls=self._tracer_cls)
        copies: dict[Node, Node] = {}
        for node in self.nodes:
            copies[node] = new.node_copy(node, lambda n: copies[n])
        new._codegen = copy.copy(self._codegen)
        return new

    def __getstate__(self) -> dict:
        index = {node: i for i, node in enumerate(self.nodes)}

        def plain(a: Argument) -> Argument:
            return map_arg(a, lambda n: _Place(index[n]))

        nodes = [(n.op, n.target, plain(n.args), plain(n.kwargs), n.name, n.type) for n in self.nodes]
        return {"nodes": nodes, "tracer_cls": self._tracer_cls}

    def __setstate__(self, state: dict) -> None:
        Graph.__init__(self, tracer_cls=state["tracer_cls"])
        made: list[Node] = []

        def node(a: Argument) -> Argument:
            return map_aggregate(a, lambda x: made[x.index] if isinstance(x, _Place) else x)

        for op, target, args, kwargs, name, kind in state["nodes"]:
            made.append(self.create_node(op, target, node(args), node(kwargs), name, kind))

    # -- upkeep

    def lint(self) -> None:
        """RuntimeError if the graph is not sound: values used before they are made, names used twice, submodules and
        attributes that the owning module lacks."""
        names: set[str] = set()
        seen: set[Node] = set()
        for node in self.nodes:
            if node.graph is not self:
                raise RuntimeError(f"Node '{node}' does not belong to this Graph!")
            for used in node.all_input_nodes:
                if used not in seen:
                    raise RuntimeError(f"Argument '{used}' of Node '{node}' was used before it has been defined! Please "
                                       f"check that Nodes in the graph are topologically ordered\n{self}")  # fmt: skip
            if node.name in names:
                raise RuntimeError(f"Node redefined name {node.name}!")
            seen.add(node)
            names.add(node.name)
            if self.owning_module is not None and node.op in ("call_module", "get_attr"):
                owner: Any = self.owning_module
                for atom in node.target.split("."):
                    if not hasattr(owner, atom):
                        raise RuntimeError(f"Node {node} target {node.target} references nonexistent attribute {atom} of {owner}")
                    owner = getattr(owner, atom)

    def eliminate_dead_code(self, is_impure_node: Callable[[Node], bool] | None = None) -> bool:
        """Erases nodes that nobody uses and that have no side effects; True if there were any."""
        impure = is_impure_node or Node.is_impure
        changed = False
        for node in reversed(self.nodes):
            if not node.users and not impure(node):
                self.erase_node(node)
                changed = True
        return changed

    def set_codegen(self, codegen: CodeGen) -> None:
        """Who writes the code."""
        self._codegen = codegen

    # -- text

    def python_code(self, root_module: str = "self", *, verbose: bool = False, **options: bool) -> PythonCode:
        """The source of a function forward(self, ...) that does what the graph says, and the objects that it names."""
        return write_forward(self._codegen, list(self.nodes), root_module)

    def print_tabular(self) -> None:
        """Prints the nodes as a table."""
        rows = [["opcode", "name", "target", "args", "kwargs"]]
        rows += [[n.op, n.name, n._pretty_target(), repr(n.args), repr(n.kwargs)] for n in self.nodes]
        widths = [max(len(row[i]) for row in rows) for i in range(5)]
        rows.insert(1, ["-" * width for width in widths])
        print("\n".join("  ".join(cell.ljust(width) for cell, width in zip(row, widths)).rstrip() for row in rows))

    def __str__(self) -> str:
        return "\n    ".join(["graph():", *(node.format_node() for node in self.nodes)])


@dataclass(frozen=True)
class _Place:
    """A node in a pickled graph."""

    index: int


class _NodeList:
    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def _walk(self, step: str) -> Iterator[Node]:
        root = self._graph._root
        node = getattr(root, step)
        while node is not root:
            following = getattr(node, step)
            if not node._erased:
                yield node
            # The node may have been moved or erased meanwhile, or others put after it.
            node = following if node._erased else getattr(node, step)

    def __iter__(self) -> Iterator[Node]:
        return self._walk("_next")

    def __reversed__(self) -> Iterator[Node]:
        return self._walk("_prev")

    def __len__(self) -> int:
        return sum(1 for _ in self)
