"""Modules whose forward is generated from a graph."""

from __future__ import annotations

import copy
import linecache
from typing import Any

from norch.nn import Module

from .graph import Graph

__all__ = ["GraphModule"]

_sources = 0


def _compiled(code: str, names: dict[str, Any]) -> Any:
    """forward, compiled so that tracebacks show its lines."""
    global _sources
    _sources += 1
    file = f"<norch.fx generated code {_sources}>"
    linecache.cache[file] = (len(code), None, code.splitlines(keepends=True), file)
    namespace = dict(names)
    exec(compile(code, file, "exec"), namespace)
    return namespace["forward"]


def _paths(graph: Graph) -> list[str]:
    """What the graph uses of its module, once each, in order."""
    return list(dict.fromkeys(node.target for node in graph.nodes if node.op in ("call_module", "get_attr")))


def _copy_attribute(source: Module, target: Module, path: str) -> None:
    """Gives `target` what `source` has at a dotted path, with empty modules on the way."""
    *prefix, name = path.split(".")
    owner: Any = source
    for atom in prefix:
        owner = getattr(owner, atom)
        if not hasattr(target, atom):
            setattr(target, atom, Module())
        target = getattr(target, atom)
        if target is owner:
            return  # that module is shared as a whole
    if name in owner._buffers:
        target.register_buffer(name, owner._buffers[name], name not in owner._non_persistent_buffers_set)
    else:
        setattr(target, name, getattr(owner, name))


class GraphModule(Module):
    """A module that does what `graph` says with the parameters and submodules of `root`, a module or a dict of them by
    path.

    Assigning `graph`, or `recompile()` after the graph was changed in place, generates `forward` anew; `code` is its
    source."""

    def __new__(cls, *args: Any, **kwargs: Any) -> Any:
        # A class for each instance: `forward` belongs to the class.
        written = next(base for base in cls.__mro__ if "_fx_generated" not in vars(base))
        return Module.__new__(type(written.__name__, (written,), {"_fx_generated": True}))

    def __init__(self, root: Module | dict[str, Any], graph: Graph, class_name: str = "GraphModule") -> None:
        super().__init__()
        type(self).__name__ = type(self).__qualname__ = class_name
        if isinstance(root, Module):
            self.training = root.training
            self._take_over(root, graph)
        else:
            for path in _paths(graph):
                if path not in root:
                    raise RuntimeError(f"Node referenced target {path} but that target was not provided in ``root``!")
            for path in sorted(root, key=lambda p: p.count(".")):
                owner: Module = self
                *prefix, name = path.split(".")
                for atom in prefix:
                    if not hasattr(owner, atom):
                        setattr(owner, atom, Module())
                    owner = getattr(owner, atom)
                setattr(owner, name, root[path])
        self.meta: dict[str, Any] = {}
        self.graph = graph

    def _take_over(self, root: Module, graph: Graph) -> None:
        """Shares the parameters, buffers and submodules of `root` that the graph uses."""
        for path in _paths(graph):
            _copy_attribute(root, self, path)

    @property
    def graph(self) -> Graph:
        """The graph."""
        return self._graph

    @graph.setter
    def graph(self, g: Graph) -> None:
        if not isinstance(g, Graph):
            raise AssertionError(f"Expected a Graph instance, but got {type(g)}")
        if g.owning_module not in (None, self):
            g = copy.deepcopy(g)
        self._graph = g
        g.owning_module = self
        self.recompile()

    @property
    def code(self) -> str:
        """The source of forward."""
        return self._code

    def recompile(self) -> Any:
        """Generates forward from the graph; returns the PythonCode."""
        python_code = self._graph.python_code()
        self._code = python_code.src
        setattr(type(self), "forward", _compiled(python_code.src, python_code.globals))
        return python_code

    def print_readable(self, print_output: bool = True) -> str:
        """Prints (and returns) the generated class."""
        body = "".join(f"    {line}\n" for line in self._code.strip().splitlines())
        text = f"class {type(self).__name__}(norch.nn.Module):\n{body}"
        if print_output:
            print(text)
        return text

    def add_submodule(self, target: str, m: Module) -> bool:
        """Adds a module at a dotted path; False if something else than a module stands in the way."""
        *prefix, name = target.split(".")
        owner: Module = self
        for atom in prefix:
            if not hasattr(owner, atom):
                owner.add_module(atom, Module())
            owner = getattr(owner, atom)
            if not isinstance(owner, Module):
                return False
        owner.add_module(name, m)
        return True

    def delete_submodule(self, target: str) -> bool:
        """Deletes the module at a dotted path; False if there is none."""
        *prefix, name = target.split(".")
        owner: Any = self
        for atom in prefix:
            owner = getattr(owner, atom, None)
        if not isinstance(getattr(owner, name, None), Module):
            return False
        delattr(owner, name)
        return True

    def delete_all_unused_submodules(self) -> None:
        """Deletes the modules that no node calls or reads from."""
        used: set[str] = set()
        for node in self.graph.nodes:
            if node.op not in ("call_module", "get_attr"):
                continue
            atoms = node.target.split(".")
            used.update(".".join(atoms[: i + 1]) for i in range(len(atoms)))
            if node.op == "call_module":
                used.update(f"{node.target}.{name}" for name, _ in self.get_submodule(node.target).named_modules())
        for name, _ in list(self.named_modules()):
            if name and name not in used:
                self.delete_submodule(name)

    def __deepcopy__(self, memo: dict) -> GraphModule:
        new = GraphModule.__new__(type(self))
        memo[id(self)] = new
        Module.__init__(new)
        state = {key: value for key, value in self.__dict__.items() if key not in ("_graph", "_code")}
        new.__dict__.update(copy.deepcopy(state, memo))
        type(new).__name__ = type(new).__qualname__ = type(self).__name__
        new.graph = copy.deepcopy(self._graph)
        return new

    def __copy__(self) -> GraphModule:
        return GraphModule(self, self._graph, type(self).__name__)

    def __reduce__(self) -> Any:
        state = {key: value for key, value in self.__dict__.items() if key not in ("_graph", "_code")}
        return _rebuilt, (type(self).__name__, state, self._graph)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return self.__reduce__()

    def __str__(self) -> str:
        return f"{super().__str__()}\n\n\n{self._code}\n# To see more debug info, please use `graph_module.print_readable()`"


def _rebuilt(name: str, state: dict[str, Any], graph: Graph) -> GraphModule:
    """What a pickled GraphModule is rebuilt with."""
    module = GraphModule.__new__(GraphModule)
    Module.__init__(module)
    module.__dict__.update(state)
    type(module).__name__ = type(module).__qualname__ = name
    module.graph = graph
    return module
