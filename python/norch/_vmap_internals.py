"""torch._vmap_internals: where vmap was before torch.func."""

from __future__ import annotations

from typing import Any, Callable

from norch.func._vmap import vmap as vmap

__all__ = ["vmap"]


def _vmap(
    func: Callable[..., Any], in_dims: Any = 0, out_dims: Any = 0, allow_none_pass_through: bool = False
) -> Callable[..., Any]:
    """`vmap`, by its private name."""
    return vmap(func, in_dims, out_dims)
