"""Programs as graphs that can be read and rewritten, with torch.fx's names.

`symbolic_trace` runs a module's `forward` on proxies and writes down what is called; the `GraphModule` that it returns
holds the `Graph` and a `forward` generated from it.

    >>> def f(x, y):
    ...     return norch.relu(x + y)
    >>> g = norch.fx.symbolic_trace(f)
    >>> [node.name for node in g.graph.nodes]
    ['x', 'y', 'add', 'relu', 'output']
    >>> g(norch.tensor([-1., 2.]), 1)
    tensor([0., 3.])
"""

from . import passes as passes
from .codegen import CodeGen as CodeGen
from .graph import Graph as Graph
from .graph_module import GraphModule as GraphModule
from .interpreter import Interpreter as Interpreter
from .interpreter import Transformer as Transformer
from .node import Node as Node
from .node import has_side_effect as has_side_effect
from .node import map_arg as map_arg
from .proxy import Proxy as Proxy
from .proxy import TraceError as TraceError
from .subgraph_rewriter import replace_pattern as replace_pattern
from .tracer import PH as PH
from .tracer import ProxyableClassMeta as ProxyableClassMeta
from .tracer import Tracer as Tracer
from .tracer import symbolic_trace as symbolic_trace
from .tracer import wrap as wrap

__all__ = [
    "CodeGen", "Graph", "GraphModule", "Interpreter", "Node", "PH", "Proxy", "ProxyableClassMeta", "TraceError", "Tracer",
    "Transformer", "has_side_effect", "map_arg", "replace_pattern", "symbolic_trace", "wrap",
]  # fmt: skip
