"""Tracing: a program runs on proxies, and the graph is what it called."""

from __future__ import annotations

import contextlib
import inspect
import math
import sys
from types import FunctionType, ModuleType
from typing import Any, Callable, Iterator

import norch
from norch import nn
from norch.nn import Module
from norch.utils import _pytree

from .graph import Graph
from .graph_module import GraphModule
from .node import Argument, map_aggregate
from .proxy import Proxy, TracerBase

__all__ = ["PH", "ProxyableClassMeta", "Tracer", "symbolic_trace", "wrap"]


class _Placeholder:
    def __repr__(self) -> str:
        return "PH"


PH = _Placeholder()  # in concrete_args: a value that stays an input

_wrapped: list[tuple[dict[str, Any], str]] = []  # what wrap() was told: the globals of a module, a name there


def wrap(fn_or_name: Callable | str) -> Callable | str:
    """Makes calls of a function of this module nodes of their own when a graph is traced, instead of what it calls.

    Called at module level with the function's name, or as its decorator; returns its argument."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("Unsupported type for global function! Must be either a callable or string name")
    name = fn_or_name.__name__ if callable(fn_or_name) else fn_or_name
    frame: Any = inspect.currentframe()
    frame = frame.f_back
    if frame.f_code.co_name != "<module>":
        raise NotImplementedError("wrap must be called at the top level of a module")
    _wrapped.append((frame.f_globals, name))
    return fn_or_name


class ProxyableClassMeta(type):
    """The metaclass of classes whose construction from proxies is a node."""

    def __call__(cls, *args: Any, **kwargs: Any) -> Any:
        found = _find_proxy(args, kwargs)
        if found is None:
            return super().__call__(*args, **kwargs)
        return found.tracer.create_proxy("call_function", cls, args, kwargs)


def _find_proxy(*values: Any) -> Proxy | None:
    found: list[Proxy] = []

    def look(x: Any) -> None:
        if isinstance(x, Proxy):
            found.append(x)

    map_aggregate(values, look)
    return found[0] if found else None


def _recorded(function: Callable) -> Callable:
    """A function whose calls with proxies are nodes."""

    def record(*args: Any, **kwargs: Any) -> Any:
        proxy = _find_proxy(args, kwargs)
        if proxy is None:
            return function(*args, **kwargs)
        return proxy.tracer.create_proxy("call_function", function, args, kwargs)

    return record


class Tracer(TracerBase):
    """Traces modules and functions.

    Subclasses decide what a node is: `is_leaf_module` says which modules are called instead of looked into; `call_module`,
    `create_node`, `create_arg` and `getattr` can be overridden. Calls of functions of `autowrap_modules` and of
    `autowrap_functions` are nodes too."""

    def __init__(
        self,
        autowrap_modules: tuple[ModuleType, ...] = (math,),
        autowrap_functions: tuple[Callable, ...] = (),
        param_shapes_constant: bool = False,
    ) -> None:
        self._autowrap_modules = autowrap_modules
        self._autowrapped = {id(f) for f in autowrap_functions}
        for module in autowrap_modules:
            self._autowrapped |= {id(f) for name, f in vars(module).items() if not name.startswith("_") and callable(f)}
        self.param_shapes_constant = param_shapes_constant
        self.root: Module = Module()
        self.submodule_paths: dict[Module, str] = {}
        self.tensor_attrs: dict[int, str] = {}

    # -- to be overridden

    def is_leaf_module(self, m: Module, module_qualified_name: str) -> bool:
        """Whether a submodule's call is one node: those of norch.nn, but for Sequential."""
        return m.__module__.startswith(("norch.nn.", "torch.nn.")) and not isinstance(m, nn.Sequential)

    def path_of_module(self, mod: Module) -> str:
        """The submodule's path. NameError if it is not part of the root."""
        if mod not in self.submodule_paths:
            raise NameError("module is not installed as a submodule")
        return self.submodule_paths[mod]

    def call_module(self, m: Module, forward: Callable, args: tuple, kwargs: dict) -> Any:
        """What calling a submodule does."""
        path = self.path_of_module(m)
        if self.is_leaf_module(m, path):
            return self.create_proxy("call_module", path, args, kwargs)
        return forward(*args, **kwargs)

    def getattr(self, attr: str, attr_val: Any, parameter_proxy_cache: dict[str, Any]) -> Any:
        """What reading an attribute of a module gives: parameters are proxies."""
        if not isinstance(attr_val, nn.Parameter):
            return attr_val
        path = self.tensor_attrs.get(id(attr_val))
        if path is None or self.param_shapes_constant:
            return attr_val
        if path not in parameter_proxy_cache:
            parameter_proxy_cache[path] = self.create_proxy("get_attr", path, (), {})
        return parameter_proxy_cache[path]

    def create_arg(self, a: Any) -> Argument:
        """As TracerBase.create_arg; tensors become nodes of op get_attr."""
        if isinstance(a, norch.Tensor):
            name = self.tensor_attrs.get(id(a))
            if name is None:
                name = self._store(a, "_param_constant" if isinstance(a, nn.Parameter) else "_tensor_constant")
                self.tensor_attrs[id(a)] = name
            return self.create_node("get_attr", name, (), {})
        if isinstance(a, Module):
            return self.create_node("get_attr", self.path_of_module(a), (), {})
        if isinstance(type(a), ProxyableClassMeta):
            return self.create_node("get_attr", self._store(a, f"_{type(a).__name__}_constant_"), (), {})
        return super().create_arg(a)

    def _store(self, value: Any, prefix: str) -> str:
        number = 0
        while hasattr(self.root, f"{prefix}{number}"):
            number += 1
        setattr(self.root, f"{prefix}{number}", value)
        return f"{prefix}{number}"

    # -- tracing

    def trace(self, root: Module | Callable, concrete_args: dict[str, Any] | None = None) -> Graph:
        """The graph of a module's forward or of a function.

        `concrete_args` are values of inputs that the graph may depend on; where they are containers, `PH` stands for
        what remains an input."""
        function: Callable
        if isinstance(root, Module):
            self.root, function = root, type(root).forward
        else:
            self.root, function = Module(), root
        self.graph = Graph(tracer_cls=type(self))
        self.submodule_paths = {}
        self.tensor_attrs = {}
        for path, module in self.root.named_modules():
            self.submodule_paths.setdefault(module, path)
            for name, value in {**module._parameters, **module._buffers, **vars(module)}.items():
                if isinstance(value, norch.Tensor):
                    self.tensor_attrs.setdefault(id(value), f"{path}.{name}" if path else name)
        arguments = self._arguments(function, isinstance(root, Module), concrete_args or {})
        with self._patched(function):
            result = _with_all_positional(function)(*arguments)
        self.create_node("output", "output", (self.create_arg(result),), {})
        return self.graph

    def _arguments(self, function: Callable, is_method: bool, concrete: dict[str, Any]) -> list:
        """An argument for every parameter, *args and **kwargs as a proxy each."""
        parameters = list(inspect.signature(function).parameters.values())[is_method:]
        values: dict[str, Any] = {}
        for p in parameters:
            default = () if p.default is p.empty else (self.create_arg(p.default),)
            if p.name in concrete:
                values[p.name] = self._concrete(p.name, concrete[p.name], default)
            else:
                stars = "*" if p.kind is p.VAR_POSITIONAL else "**" if p.kind is p.VAR_KEYWORD else ""
                values[p.name] = self.create_proxy("placeholder", stars + p.name, default, {})
        # In the order of the function's local variables: *args comes after what is keyword-only.
        parameters.sort(key=lambda p: (p.kind is p.VAR_KEYWORD, p.kind is p.VAR_POSITIONAL))
        return [*([self.root] if is_method else []), *(values[p.name] for p in parameters)]

    def _concrete(self, name: str, value: Any, default: tuple) -> Any:
        """An input with a value: every leaf of it is a placeholder, which has to have that value in calls."""
        leaves, spec = _pytree.tree_flatten(value)
        if len(leaves) != 1 or spec.type is not None:
            # A container is one argument in calls as well: its elements are taken out of it.
            whole: Any = self.create_proxy("placeholder", name, default, {})
            return self._parts(whole, value)
        proxy = self.create_proxy("placeholder", name, default, {})
        return proxy if isinstance(value, _Placeholder) else self._fixed(proxy, name, value)

    def _parts(self, whole: Proxy, value: Any) -> Any:
        if isinstance(value, dict):
            return type(value)((k, self._parts(whole[k], v)) for k, v in value.items())  # type: ignore[index]
        if isinstance(value, (list, tuple)):
            parts = [self._parts(whole[i], v) for i, v in enumerate(value)]  # type: ignore[index]
            return type(value)(*parts) if hasattr(value, "_fields") else type(value)(parts)
        return whole if isinstance(value, _Placeholder) else value

    def _fixed(self, proxy: Proxy, name: str, value: Any) -> Any:
        if isinstance(value, (bool, int, float, str)):
            text = f"{name} has been specialized to have value {value} but got another value"
            self.create_proxy("call_function", norch._assert, (proxy == value, text), {})
        return value

    @contextlib.contextmanager
    def _patched(self, function: Callable) -> Iterator[None]:
        """While it lasts, calls of modules and reads of their attributes come here, and wrapped functions are nodes."""
        undo: list[Callable[[], None]] = []
        seen: set[int] = set()
        call = Module.__call__
        cache: dict[str, Any] = {}
        tracer = self

        def patch(namespace: dict[str, Any], name: str) -> None:
            original = namespace.get(name, getattr(sys.modules["builtins"], name, None))
            if original is None or getattr(original, "_fx_original", None) is not None:
                return
            recorded = _recorded(original)
            recorded._fx_original = original  # type: ignore[attr-defined]
            had = name in namespace
            namespace[name] = recorded
            undo.append(lambda: namespace.__setitem__(name, original) if had else namespace.__delitem__(name))

        def autowrap(namespace: dict[str, Any]) -> None:
            if id(namespace) in seen:
                return
            seen.add(id(namespace))
            for name, value in list(namespace.items()):
                if id(value) in tracer._autowrapped and not name.startswith("_"):
                    patch(namespace, name)

        def module_call(module: Module, *args: Any, **kwargs: Any) -> Any:
            def forward(*args: Any, **kwargs: Any) -> Any:
                return call(module, *args, **kwargs)

            autowrap(getattr(type(module).forward, "__globals__", {}))
            return tracer.call_module(module, forward, args, kwargs)

        def module_getattribute(module: Module, name: str) -> Any:
            value = object.__getattribute__(module, name)
            return tracer.getattr(name, value, cache) if isinstance(value, (norch.Tensor, Module)) else value

        for namespace, name in _wrapped:
            patch(namespace, name)
        if isinstance(function, FunctionType):
            autowrap(function.__globals__)
        for module in self._autowrap_modules:
            for name, value in list(vars(module).items()):
                if id(value) in self._autowrapped:
                    patch(vars(module), name)
        setattr(Module, "__call__", module_call)
        setattr(Module, "__getattribute__", module_getattribute)
        try:
            yield
        finally:
            setattr(Module, "__call__", call)
            delattr(Module, "__getattribute__")
            for step in reversed(undo):
                step()


def _with_all_positional(function: Callable) -> Callable:
    """The function with *args and **kwargs, and what is keyword-only, as ordinary parameters: proxies stand for them."""
    code = getattr(function, "__code__", None)
    if code is None:
        return function
    stars = bool(code.co_flags & inspect.CO_VARARGS) + bool(code.co_flags & inspect.CO_VARKEYWORDS)
    if not stars and not code.co_kwonlyargcount:
        return function
    code = code.replace(
        co_flags=code.co_flags & ~(inspect.CO_VARARGS | inspect.CO_VARKEYWORDS),
        co_argcount=code.co_argcount + code.co_kwonlyargcount + stars,
        co_posonlyargcount=0,
        co_kwonlyargcount=0,
    )
    function_: Any = function
    return FunctionType(code, function_.__globals__, function_.__name__, None, function_.__closure__)


def symbolic_trace(root: Module | Callable, concrete_args: dict[str, Any] | None = None) -> GraphModule:
    """A `GraphModule` with the graph of a module or function.

    TraceError where the program's course depends on a value (`if x.sum() > 0`): values are not known while it is
    traced, unless `concrete_args` has them."""
    tracer = Tracer()
    graph = tracer.trace(root, concrete_args)
    name = type(root).__name__ if isinstance(root, Module) else root.__name__
    return GraphModule(tracer.root, graph, name)
