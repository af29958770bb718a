"""Modules that return what a model computes on the way, with torchvision's names."""

from __future__ import annotations

import math
import re
import warnings
from collections import OrderedDict
from copy import deepcopy
from typing import Any, Callable

import norch
from norch import fx, nn

__all__ = ["create_feature_extractor", "get_graph_node_names"]


class NodePathTracer(fx.Tracer):
    """Notes for each node the path of the module in whose forward it stands, and what it does there: `layer1.0.add`.

    A call of a leaf module has the module's path; names that occur again get a number: `layer1.0.relu_1`."""

    def __init__(self, *args: Any, leaf_modules: Any = (), **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.leaf_modules = tuple(leaf_modules)
        self.node_to_qualname: OrderedDict[fx.Node, str] = OrderedDict()
        self._path = ""

    def is_leaf_module(self, m: nn.Module, module_qualname: str) -> bool:
        return isinstance(m, self.leaf_modules) or super().is_leaf_module(m, module_qualname)

    def call_module(self, m: nn.Module, forward: Callable, args: tuple, kwargs: dict) -> Any:
        outer, self._path = self._path, self.path_of_module(m)
        try:
            return super().call_module(m, forward, args, kwargs)
        finally:
            self._path = outer

    def create_proxy(self, kind: str, target: Any, args: tuple, kwargs: dict, *more: Any, **named: Any) -> fx.Proxy:
        proxy = super().create_proxy(kind, target, args, kwargs, *more, **named)
        name = self._path
        if kind != "call_module":
            own = proxy.node.name
            if not (isinstance(target, str) and own == target):
                own = re.sub(r"_\d+$", "", own)  # the number is among all nodes; here it is among those of the module
            name = f"{name}.{own}" if name else own
        taken = set(self.node_to_qualname.values())
        number, unique = 0, name
        while unique in taken:
            number += 1
            unique = f"{name}_{number}"
        self.node_to_qualname[proxy.node] = unique
        return proxy


def _traced(model: nn.Module, training: bool, options: dict, concrete_args: dict | None) -> tuple[NodePathTracer, fx.Graph]:
    """The tracer and graph of the model in that mode."""
    modes = {module: module.training for module in model.modules()}
    try:
        model.train(training)
        tracer = NodePathTracer(**options)
        return tracer, tracer.trace(model, concrete_args)
    finally:
        for module, mode in modes.items():
            module.training = mode


def _options(tracer_kwargs: dict[str, Any] | None) -> dict[str, Any]:
    """torchvision.ops is what models are built of: its functions and modules are nodes, as those of norch.nn."""
    ops = [value for value in vars(norch.vision.ops).values() if isinstance(value, type) and issubclass(value, nn.Module)]
    return {"autowrap_modules": (math, norch.vision.ops), "leaf_modules": ops, **(tracer_kwargs or {})}


def _warn_if_different(train: list[str], evaluation: list[str], suppress: bool) -> None:
    if train != evaluation and not suppress:
        warnings.warn(
            "The nodes obtained by tracing the model in eval mode are not the same as those in train mode. When choosing "
            "nodes for feature extraction, you may need to specify output nodes for train and eval mode separately",
            stacklevel=3,
        )


def get_graph_node_names(
    model: nn.Module,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> tuple[list[str], list[str]]:
    """The names of the model's nodes, in the order of execution, when it trains and when it is evaluated.

    >>> model = norch.nn.Sequential(norch.nn.Linear(2, 2), norch.nn.ReLU())
    >>> norch.vision.models.feature_extraction.get_graph_node_names(model)[1]
    ['input', '0', '1']
    """
    options = _options(tracer_kwargs)
    names = []
    for training in (True, False):
        tracer, _ = _traced(model, training, options, concrete_args)
        names.append(list(tracer.node_to_qualname.values()))
    _warn_if_different(names[0], names[1], suppress_diff_warning)
    return names[0], names[1]


class DualGraphModule(fx.GraphModule):
    """A module with one graph for training and one for evaluation; `train()` and `eval()` choose."""

    def __init__(self, root: nn.Module, train_graph: fx.Graph, eval_graph: fx.Graph, class_name: str) -> None:
        super().__init__(root, train_graph, class_name)
        self._take_over(root, eval_graph)
        eval_graph.owning_module = self
        self.train_graph, self.eval_graph = train_graph, eval_graph
        self.train(root.training)

    def train(self, mode: bool = True) -> DualGraphModule:
        """Puts the module, and the graph that it runs, into training (evaluation) mode."""
        graph = self.train_graph if mode else self.eval_graph
        if graph is not self.graph:
            self.graph = graph
        return super().train(mode)  # type: ignore[return-value]

    def __deepcopy__(self, memo: dict) -> DualGraphModule:
        holder = nn.Module()
        for name, value in vars(self).items():
            if name not in ("_graph", "_code", "train_graph", "eval_graph", "meta"):
                holder.__dict__[name] = deepcopy(value, memo)
        copied = DualGraphModule(holder, deepcopy(self.train_graph), deepcopy(self.eval_graph), type(self).__name__)
        memo[id(self)] = copied
        return copied


def _names_of(nodes: list[str] | dict[str, str] | None) -> dict[str, str] | None:
    return {str(n): str(n) for n in nodes} if isinstance(nodes, (list, tuple)) else nodes


def _graph_returning(model: nn.Module, training: bool, wanted: dict[str, str], options: dict, concrete: dict | None) -> fx.Graph:
    tracer, graph = _traced(model, training, options, concrete)
    available = [name for node, name in tracer.node_to_qualname.items() if node.op != "output"]
    for query in wanted:
        if not any(re.match(rf"{re.escape(query)}(\.|$)", name) for name in available):
            raise ValueError(f"node: '{query}' is not present in model. Hint: use `get_graph_node_names` to make sure the "
                             f"`return_nodes` you specified are present. It may even be that you need to specify "
                             f"`train_return_nodes` and `eval_return_nodes` separately.")  # fmt: skip
    graph.erase_node(graph.output_node())
    results: dict[str, fx.Node] = {}
    # A module's path stands for the last node in it.
    for query, name in wanted.items():
        inside = [n for n, q in tracer.node_to_qualname.items() if re.match(rf"{re.escape(query)}(\.|$)", q) and n.op != "output"]
        results[name] = inside[-1]
    graph.output(results)
    graph.eliminate_dead_code()
    return graph


def create_feature_extractor(
    model: nn.Module,
    return_nodes: list[str] | dict[str, str] | None = None,
    train_return_nodes: list[str] | dict[str, str] | None = None,
    eval_return_nodes: list[str] | dict[str, str] | None = None,
    tracer_kwargs: dict[str, Any] | None = None,
    suppress_diff_warning: bool = False,
    concrete_args: dict[str, Any] | None = None,
) -> fx.GraphModule:
    """A module that returns the values of nodes of `model`, a dict by their names.

    `return_nodes` lists nodes (`get_graph_node_names` has their names; a module's path stands for what it returns), or
    maps them to the names in the result. Where training and evaluation differ, `train_return_nodes` and
    `eval_return_nodes` say so. ValueError for a node that is not there.

        >>> model = norch.nn.Sequential(norch.nn.Linear(2, 3), norch.nn.ReLU(), norch.nn.Linear(3, 1))
        >>> make = norch.vision.models.feature_extraction.create_feature_extractor
        >>> features = make(model, {"1": "hidden", "2": "out"})
        >>> {name: tuple(value.shape) for name, value in features(norch.zeros(4, 2)).items()}
        {'hidden': (4, 3), 'out': (4, 1)}
    """
    if return_nodes is None and (train_return_nodes is None or eval_return_nodes is None):
        raise ValueError("Either `return_nodes` or `train_return_nodes` and `eval_return_nodes` together, should be specified")
    if return_nodes is not None and (train_return_nodes is not None or eval_return_nodes is not None):
        raise ValueError("If `train_return_nodes` and `eval_return_nodes` are specified, `return_nodes` can't be")
    options = _options(tracer_kwargs)
    if return_nodes is not None:
        get_graph_node_names(model, tracer_kwargs, suppress_diff_warning, concrete_args)  # warns if the modes differ
    train_names = _names_of(return_nodes if return_nodes is not None else train_return_nodes) or {}
    eval_names = _names_of(return_nodes if return_nodes is not None else eval_return_nodes) or {}
    train = _graph_returning(model, True, train_names, options, concrete_args)
    evaluation = _graph_returning(model, False, eval_names, options, concrete_args)
    name = type(model).__name__
    if str(train) == str(evaluation):
        made = fx.GraphModule(model, train if model.training else evaluation, name)
        return made.train(model.training)  # type: ignore[return-value]
    return DualGraphModule(model, train, evaluation, name)
