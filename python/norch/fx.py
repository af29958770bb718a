"""The one part of torch.fx that holds without a graph: `wrap`, a mark for a tracer."""

from __future__ import annotations

from typing import Any

__all__ = ["wrap"]


def wrap(fn_or_name: Any) -> Any:
    """Returns its argument, a function or the name of one: nothing traces functions here."""
    if not callable(fn_or_name) and not isinstance(fn_or_name, str):
        raise RuntimeError("wrap: expected a function or the name of one")
    return fn_or_name
