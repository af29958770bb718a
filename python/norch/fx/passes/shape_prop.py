"""Shapes of a graph's values, by running it."""

from __future__ import annotations

from typing import Any, NamedTuple

import norch

from ..interpreter import Interpreter
from ..node import Node, map_aggregate

__all__ = ["ShapeProp", "TensorMetadata"]


class TensorMetadata(NamedTuple):
    """What `ShapeProp` notes of a tensor."""

    shape: norch.Size
    dtype: norch.dtype
    requires_grad: bool
    stride: tuple[int, ...]
    is_quantized: bool = False
    qparams: dict[str, Any] = {}


class ShapeProp(Interpreter):
    """Runs a graph on example inputs and notes shape and dtype of every node's tensors as `node.meta["tensor_meta"]`.

    >>> g = norch.fx.symbolic_trace(lambda x: x.sum(0))
    >>> _ = norch.fx.passes.shape_prop.ShapeProp(g).propagate(norch.ones(2, 3))
    >>> [tuple(n.meta["tensor_meta"].shape) for n in g.graph.nodes]
    [(2, 3), (3,), (3,)]
    """

    def run_node(self, n: Node) -> Any:
        result = super().run_node(n)
        found = False

        def describe(x: Any) -> Any:
            nonlocal found
            if not isinstance(x, norch.Tensor):
                return x
            found = True
            return TensorMetadata(x.shape, x.dtype, x.requires_grad, tuple(x.stride()))

        meta = map_aggregate(result, describe)
        if found:
            n.meta["tensor_meta"] = meta
        n.meta["type"] = type(result)
        return result

    def propagate(self, *args: Any) -> Any:
        """run(*args)."""
        return self.run(*args)
