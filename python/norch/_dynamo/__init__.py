"""torch._dynamo, as far as programs touch it: the compiler's settings, which are kept and have no effect, and what
`torch.compiler` has too. There is no compiler: norch.compile returns the function itself."""

from __future__ import annotations

from typing import Any, Callable

from norch.compiler import allow_in_graph as allow_in_graph
from norch.compiler import assume_constant_result as assume_constant_result
from norch.compiler import disable as disable
from norch.compiler import is_compiling as is_compiling
from norch.compiler import list_backends as list_backends
from norch.compiler import reset as reset
from norch.nn.modules.module import Module

from . import config as config

__all__ = [
    "OptimizedModule",
    "allow_in_graph",
    "assume_constant_result",
    "config",
    "disable",
    "disallow_in_graph",
    "forbid_in_graph",
    "graph_break",
    "is_compiling",
    "list_backends",
    "mark_dynamic",
    "mark_static",
    "maybe_mark_dynamic",
    "optimize",
    "reset",
    "reset_code_caches",
    "run",
]

reset_code_caches = reset


class OptimizedModule(Module):
    """The class of compiled modules. There is none: norch.compile returns the module itself."""


disallow_in_graph = forbid_in_graph = run = allow_in_graph


def graph_break(msg: str = "") -> None:
    """Does nothing: there is no graph."""


def mark_dynamic(t: Any, index: Any = None, *_: Any, **__: Any) -> None:
    """Does nothing: every size may change from call to call."""


maybe_mark_dynamic = mark_static = mark_dynamic


def optimize(*_: Any, **__: Any) -> Callable[[Any], Any]:
    """A decorator that returns the function itself."""
    return lambda fn: fn
