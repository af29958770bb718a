"""Proxies: values of a program that is being traced."""

from __future__ import annotations

import builtins
import dis
import enum
import inspect
import operator
from typing import Any, Callable, Iterator

import norch
from norch import _C, overrides

from .graph import Graph
from .node import Argument, Node, Target, map_aggregate

__all__ = ["Attribute", "GraphAppendingTracer", "Proxy", "TraceError", "TracerBase"]

_BASE_TYPES = (str, int, float, bool, complex, type(None), type(...), norch.dtype, norch.device, norch.memory_format, norch.layout,
               norch.Size, enum.Enum, range, bytes)  # fmt: skip


class TraceError(ValueError):
    """The program asks for a value that is not known while it is traced."""


class TracerBase:
    """Makes nodes for what is done to proxies. Needs `graph`."""

    graph: Graph
    trace_asserts = False
    param_shapes_constant = False

    def create_node(
        self, kind: str, target: Target, args: tuple, kwargs: dict[str, Argument], name: str | None = None, type_expr: Any = None
    ) -> Node:  # fmt: skip
        """Inserts a node into the graph. Subclasses may add to its `meta`."""
        return self.graph.create_node(kind, target, args, kwargs, name, type_expr)

    def proxy(self, node: Node) -> Proxy:
        """The proxy of a node."""
        return Proxy(node, self)

    def create_proxy(
        self,
        kind: str,
        target: Target,
        args: tuple,
        kwargs: dict[str, Any],
        name: str | None = None,
        type_expr: Any = None,
        proxy_factory_fn: Callable[[Node], Proxy] | None = None,
    ) -> Proxy:
        """A node of that op, and its proxy; proxies and tensors among the arguments become nodes."""
        node = self.create_node(kind, target, self.create_arg(args), self.create_arg(kwargs), name, type_expr)
        return proxy_factory_fn(node) if proxy_factory_fn else self.proxy(node)

    def create_arg(self, a: Any) -> Argument:
        """A value as an argument of a node. NotImplementedError for what a graph can't hold."""
        if hasattr(a, "__fx_create_arg__") and not isinstance(a, (type, Proxy)):
            return a.__fx_create_arg__(self)
        if isinstance(a, (tuple, list, dict, slice)):
            for key in a if isinstance(a, dict) else ():
                if isinstance(key, (Node, Proxy)):
                    raise RuntimeError(f"Keys for dictionaries used as an argument cannot contain a Node. Got key: {key}")
            return map_aggregate(a, self.create_arg)
        if isinstance(a, Proxy):
            return a.node
        if isinstance(a, (Node, *_BASE_TYPES)) or inspect.isfunction(a) or isinstance(a, type) or callable(a):
            return a
        raise NotImplementedError(f"argument of type: {type(a)}")

    def to_bool(self, obj: Proxy) -> bool:
        """What `if proxy:` does."""
        raise TraceError("symbolically traced variables cannot be used as inputs to control flow")

    def iter(self, obj: Proxy) -> Iterator:
        """What iterating over a proxy does: unpacking into a known number of names works."""
        frame = inspect.currentframe()
        while frame is not None and frame.f_code.co_filename == __file__:
            frame = frame.f_back
        if frame is not None:
            for instruction in dis.get_instructions(frame.f_code):
                if instruction.offset == frame.f_lasti and instruction.opname == "UNPACK_SEQUENCE":
                    return (_item(obj, i) for i in range(int(instruction.argval)))
        raise TraceError(
            "Proxy object cannot be iterated. This can be attempted when the Proxy is used in a loop or as a *args or "
            "**kwargs function argument: the number of its elements is not known while the program is traced"
        )

    def keys(self, obj: Proxy) -> Any:
        """What `**proxy` asks for."""
        return Attribute(obj, "keys")()


def _item(proxy: Any, index: int) -> Any:
    return proxy[index]


class GraphAppendingTracer(TracerBase):
    """Appends to a graph that exists: `Proxy(node, GraphAppendingTracer(graph))`."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph


class Proxy:
    """Stands for a node's value: operators, functions of norch, methods and attributes add nodes to its graph."""

    def __init__(self, node: Node, tracer: TracerBase | None = None) -> None:
        self.tracer = GraphAppendingTracer(node.graph) if tracer is None else tracer
        self.node = node

    def __repr__(self) -> str:
        return f"Proxy({self.node.name})"

    def __getattr__(self, k: str) -> Attribute:
        if k in ("node", "tracer") or (k.startswith("__") and k.endswith("__")):
            raise AttributeError(k)
        return Attribute(self, k)

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", "__call__", (self, *args), kwargs)

    def __iter__(self) -> Iterator:
        return self.tracer.iter(self)

    def __bool__(self) -> bool:
        return self.tracer.to_bool(self)

    def keys(self) -> Any:
        """For `**proxy`."""
        return self.tracer.keys(self)

    def __len__(self) -> int:
        raise RuntimeError(
            "'len' is not supported in symbolic tracing by default. If you want this call to be recorded, please call "
            "norch.fx.wrap('len') at module scope"
        )

    def __contains__(self, item: Any) -> bool:
        return self.tracer.to_bool(self)

    def __index__(self) -> int:
        raise TraceError("a traced value is no integer while the program is traced")

    def __deepcopy__(self, memo: dict) -> Proxy:
        raise TraceError("a proxy can't be copied")

    @classmethod
    def __torch_function__(cls, func: Callable, types: Any, args: tuple = (), kwargs: dict | None = None) -> Any:
        tracers: list[TracerBase] = []

        def find(x: Any) -> Any:
            if isinstance(x, Proxy) and x.tracer not in tracers:
                tracers.append(x.tracer)
            return x

        map_aggregate((args, kwargs), find)
        if len(tracers) > 1:
            raise RuntimeError(f"Found multiple different tracers {tracers} while trying to trace operations {func}")
        if overrides.is_tensor_method_or_property(func):
            if getattr(func, "__name__", "") == "__get__":
                attribute: Any = func
                return tracers[0].create_proxy("call_function", getattr, (args[0], attribute.__self__.__name__), {})
            return tracers[0].create_proxy("call_method", func.__name__, args, kwargs or {})
        return tracers[0].create_proxy("call_function", func, args, kwargs or {})


class Attribute(Proxy):
    """proxy.name: a method that may be called next, or an attribute."""

    def __init__(self, root: Proxy, attr: str) -> None:
        self.root = root
        self.attr = attr
        self.tracer = root.tracer
        self._node: Node | None = None

    @property
    def node(self) -> Node:  # type: ignore[override]
        """The node of the attribute's value: made when it is used, since most attributes are methods."""
        if self._node is None:
            self._node = self.tracer.create_proxy("call_function", getattr, (self.root, self.attr), {}).node
        return self._node

    def __call__(self, *args: Any, **kwargs: Any) -> Proxy:
        return self.tracer.create_proxy("call_method", self.attr, (self.root, *args), kwargs)


_BINARY = "add sub mul floordiv truediv mod pow lshift rshift and or xor matmul".split()
_OTHER = "lt le eq ne gt ge neg pos abs invert getitem".split()


def _operator(name: str) -> Callable:
    return getattr(operator, name + "_" if name in ("and", "or") else name)


def _define_operators() -> None:
    def define(method: str, target: Callable, swapped: bool = False) -> None:
        def implementation(*args: Any) -> Proxy:
            return args[0].tracer.create_proxy("call_function", target, args[::-1] if swapped else args, {})

        implementation.__name__ = method
        setattr(Proxy, method, implementation)

    for name in _BINARY:
        define(f"__{name}__", _operator(name))
        define(f"__r{name}__", _operator(name), swapped=True)
    for name in _OTHER:
        define(f"__{name}__", getattr(builtins, "abs") if name == "abs" else _operator(name))
    setattr(Proxy, "__hash__", object.__hash__)


_define_operators()
_C._overrides.turn_on()
