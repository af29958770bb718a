"""Replacing one small graph by another wherever it occurs."""

from __future__ import annotations

from typing import Any, Callable, NamedTuple

from norch.nn import Module

from .graph import Graph
from .graph_module import GraphModule
from .node import Argument, Node, map_arg
from .tracer import symbolic_trace

__all__ = ["Match", "replace_pattern"]


class Match(NamedTuple):
    """Where a pattern was found: its last node, and the node that stands for each node of the pattern."""

    anchor: Node
    nodes_map: dict[Node, Node]


def _graph_of(pattern: Callable | Module) -> Graph:
    return pattern.graph if isinstance(pattern, GraphModule) else symbolic_trace(pattern).graph


def _matches(pattern: Any, value: Any, found: dict[Node, Node]) -> bool:
    """Whether `value`, a node or argument, has the pattern's form; notes pairs of nodes."""
    if isinstance(pattern, Node):
        if pattern in found:
            return found[pattern] is value
        if not isinstance(value, Node):
            return False
        if pattern.op != "placeholder":
            if (pattern.op, pattern.target) != (value.op, value.target) or len(pattern.args) != len(value.args):
                return False
            if pattern.kwargs.keys() != value.kwargs.keys():
                return False
        found[pattern] = value
        if pattern.op == "placeholder":
            return True
        return _matches(list(pattern.args), list(value.args), found) and _matches(pattern.kwargs, value.kwargs, found)
    if isinstance(pattern, (list, tuple)):
        same = isinstance(value, (list, tuple)) and len(pattern) == len(value)
        return same and all(_matches(p, v, found) for p, v in zip(pattern, value))
    if isinstance(pattern, dict):
        same = isinstance(value, dict) and pattern.keys() == value.keys()
        return same and all(_matches(p, value[k], found) for k, p in pattern.items())
    return type(pattern) is type(value) and bool(pattern == value)


def replace_pattern(gm: GraphModule, pattern: Callable | GraphModule, replacement: Callable | GraphModule) -> list[Match]:
    """Replaces every occurrence of `pattern` in `gm` by `replacement`; returns where it was.

    Both are functions or modules with the same inputs. An occurrence whose inner values are used outside of it stays;
    occurrences don't overlap. Literals in the pattern match themselves only.

        >>> gm = norch.fx.symbolic_trace(lambda x: norch.relu(x) + 1)
        >>> len(norch.fx.replace_pattern(gm, lambda x: norch.relu(x), lambda x: norch.sigmoid(x)))
        1
        >>> gm(norch.zeros(1))
        tensor([1.5000])
    """
    form, new = _graph_of(pattern), _graph_of(replacement)
    inputs = form.find_nodes(op="placeholder")
    result = form.output_node().args[0]
    if not isinstance(result, Node):
        raise RuntimeError("replace_pattern: the pattern must return one value that it computes")
    matches: list[Match] = []
    taken: set[Node] = set()
    for anchor in list(gm.graph.nodes):
        found: dict[Node, Node] = {}
        if anchor in taken or anchor.op in ("placeholder", "output") or not _matches(result, anchor, found):
            continue
        inner = {n for p, n in found.items() if p.op != "placeholder"}
        escapes = any(user not in inner for n in inner if n is not anchor for user in n.users)
        if escapes or inner & taken or any(p not in found for p in inputs):
            continue
        values: dict[Node, Any] = {p: found[q] for p, q in zip(new.find_nodes(op="placeholder"), inputs)}
        with gm.graph.inserting_before(anchor):
            output: Argument = gm.graph.graph_copy(new, values)
        if isinstance(output, Node):
            anchor.replace_all_uses_with(output)
        else:
            for user in list(anchor.users):
                user.args = map_arg(user.args, lambda n: output if n is anchor else n)
                user.kwargs = map_arg(user.kwargs, lambda n: output if n is anchor else n)
        for node in reversed([n for n in gm.graph.nodes if n in inner]):
            gm.graph.erase_node(node)
        taken |= inner
        # Later occurrences may take this one's result as an input.
        matches.append(Match(anchor, found))
    gm.recompile()
    return matches
