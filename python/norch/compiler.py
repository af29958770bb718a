"""torch.compiler's functions for a framework that has no compiler: what they mark runs as it is."""

from __future__ import annotations

from typing import Any, Callable

from norch._settings import compile

__all__ = [
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "reset",
    "set_stance",
]


def is_compiling() -> bool:
    """False."""
    return False


is_dynamo_compiling = is_exporting = is_compiling


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, *, reason: str | None = None) -> Any:
    """Returns the function itself; also a decorator with arguments."""
    return (lambda f: f) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """Returns the function itself."""
    return fn


assume_constant_result = allow_in_graph


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """An empty list: there is no compiler."""
    return []


def reset() -> None:
    """Does nothing: there is no cache of compiled code."""


def cudagraph_mark_step_begin() -> None:
    """Does nothing: compile() captures no graphs (norch.cuda.graph does)."""


class set_stance:
    """Accepted as a call, a decorator and a context manager; there is nothing to decide."""

    def __init__(self, stance: str = "default", **_: Any) -> None:
        self.stance = stance

    def __call__(self, fn: Any) -> Any:
        return fn

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: Any) -> None:
        pass
