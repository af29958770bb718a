"""norch.fx: tracing, graphs, generated code, interpreters."""

import copy
import math
import operator
import pickle

import numpy as np
import pytest

import norch
import norch.nn.functional as F
from norch import fx, nn

fx.wrap("opaque")


def opaque(x):
    return x * 2 if x.sum() > 0 else x


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 3)
        self.layers = nn.Sequential(nn.Linear(4, 4), nn.ReLU())
        self.weight = nn.Parameter(norch.arange(4.0))
        self.register_buffer("shift", norch.ones(4))

    def forward(self, x, scale=2.0):
        y = self.conv(x).mean([2, 3])
        a, b = y.chunk(2, 1)
        y = norch.cat([a, b], dim=1)
        z = F.relu(self.layers(y) + self.weight * scale - self.shift, inplace=False)
        return {"out": z.view(z.size(0), -1)[:, 1:], "sum": (1 - z).sum()}


def same(a, b):
    assert a.keys() == b.keys()
    for key in a:
        np.testing.assert_array_equal(a[key].detach().numpy(), b[key].detach().numpy())


def names(graph):
    return [node.name for node in graph.nodes]


def test_module_traces_to_what_it_computes():
    net, x = Net(), norch.randn(2, 3, 5, 5)
    traced = fx.symbolic_trace(net)
    same(traced(x), net(x))
    same(traced(x, scale=3.0), net(x, 3.0))
    assert names(traced.graph)[:7] == ["x", "scale", "conv", "mean", "chunk", "getitem", "getitem_1"]
    assert [n.target for n in traced.graph.find_nodes(op="call_module")] == ["conv", "layers.0", "layers.1"]
    assert [n.target for n in traced.graph.find_nodes(op="get_attr")] == ["weight", "shift"]
    assert traced.state_dict().keys() == net.state_dict().keys()
    assert traced.weight is net.weight, "parameters are shared with the module"
    traced(x)["sum"].backward()
    assert net.weight.grad is not None
    traced.graph.lint()


def test_code_and_text():
    traced = fx.symbolic_trace(lambda input, y=3: (norch.ones(2) * input + y)[0].exp())
    assert traced.code.splitlines() == [
        "def forward(self, input, y = 3):",
        "    input_1 = input",
        "    _tensor_constant0 = self._tensor_constant0",
        "    mul = _tensor_constant0.mul(input_1);  _tensor_constant0 = input_1 = None",
        "    add = mul + y;  mul = y = None",
        "    getitem = add[0];  add = None",
        "    exp = getitem.exp();  getitem = None",
        "    return exp",
    ]
    lines = str(traced.graph).splitlines()
    assert lines[1:3] == [
        "    %input_1 : [num_users=1] = placeholder[target=input]",
        "    %y : [num_users=1] = placeholder[target=y](default=3)",
    ]
    assert "call_function[target=operator.getitem](args = (%add, 0), kwargs = {})" in lines[6]
    assert traced(input=norch.zeros(2)).item() == pytest.approx(math.exp(3))


def test_star_arguments_and_keywords():
    traced = fx.symbolic_trace(lambda a, *args, c=1.0, **kw: norch.add(a, args[0], alpha=kw["alpha"]) * c)
    assert "def forward(self, a, *args, c = 1.0, **kw):" in traced.code
    assert traced(norch.ones(1), 2.0, norch.ones(1), alpha=3).item() == 7.0


def test_attributes_are_nodes_and_methods_are_calls():
    traced = fx.symbolic_trace(lambda x: x.reshape(x.shape[0], -1).T.to(norch.float64))
    targets = [node.target for node in traced.graph.nodes]
    assert targets == ["x", getattr, operator.getitem, "reshape", getattr, "to", "output"]
    assert traced(norch.zeros(2, 3, 4)).shape == (12, 2)


@pytest.mark.parametrize(
    "function, error, text",
    [
        (lambda x: x if x.sum() > 0 else -x, fx.TraceError, "control flow"),
        (lambda x: [i for i in x], fx.TraceError, "Proxy object cannot be iterated"),
        (lambda x: len(x), RuntimeError, "'len' is not supported in symbolic tracing"),
        (lambda x: norch.zeros(int(x)), fx.TraceError, "no integer"),
        (lambda x: norch.add(x, object()), NotImplementedError, "argument of type"),
    ],
)
def test_what_cannot_be_traced(function, error, text):
    with pytest.raises(error, match=text):
        fx.symbolic_trace(function)
    assert norch.nn.Linear(1, 1)(norch.zeros(1, 1)).shape == (1, 1), "modules work as before"


def test_wrapped_functions_are_nodes():
    traced = fx.symbolic_trace(lambda x: opaque(x) + math.sqrt(x.shape[0]))
    targets = [node.target for node in traced.graph.find_nodes(op="call_function")]
    assert targets == [opaque, getattr, operator.getitem, math.sqrt, operator.add]
    assert traced(norch.ones(4)).tolist() == [4.0] * 4 and traced(-norch.ones(4)).tolist() == [1.0] * 4
    with pytest.raises(NotImplementedError, match="top level"):
        fx.wrap("opaque")


def test_concrete_arguments():
    def f(x, n, pair):
        for _ in range(n):
            x = x + pair[0]
        return x

    traced = fx.symbolic_trace(f, {"n": 2, "pair": (fx.PH, 5)})
    assert traced(norch.zeros(1), 2, (norch.ones(1), 5)).item() == 2.0
    with pytest.raises(AssertionError, match="n has been specialized to have value 2 but got another value"):
        traced(norch.zeros(1), 3, (norch.ones(1), 5))


def test_rewriting_a_graph():
    net, x = Net(), norch.randn(2, 3, 5, 5)
    traced = fx.symbolic_trace(net)
    (relu,) = traced.graph.find_nodes(op="call_function", target=F.relu)
    with traced.graph.inserting_after(relu):
        new = traced.graph.call_function(norch.sigmoid, (relu.args[0],))
    assert len(relu.replace_all_uses_with(new)) == 3 and not relu.users
    with pytest.raises(RuntimeError, match="still had 3 users"):
        traced.graph.erase_node(new)
    traced.graph.erase_node(relu)
    traced.graph.lint()
    traced.recompile()
    expected = norch.sigmoid(net.layers(net.conv(x).mean([2, 3])) + net.weight * 2 - net.shift)
    np.testing.assert_array_equal(traced(x)["out"].detach().numpy(), expected[:, 1:].detach().numpy())


def test_graph_made_by_hand():
    inner = nn.Linear(2, 2, bias=False)
    graph = fx.Graph()
    x = graph.placeholder("x")
    dead = graph.call_function(norch.sin, (x,))
    kept = graph.call_method("add_", (x, 1))
    y = graph.call_module("inner", (x,), {})
    graph.output((y, graph.get_attr("inner.weight")))
    module = fx.GraphModule({"inner": inner, "inner.weight": inner.weight}, graph)
    assert graph.eliminate_dead_code() and dead not in list(graph.nodes) and kept in list(graph.nodes)
    module.recompile()
    out, weight = module(norch.zeros(1, 2))
    np.testing.assert_allclose(out.detach().numpy(), weight.detach().numpy().sum(1, keepdims=True).T, rtol=1e-6)
    with graph.inserting_before(y):
        late = graph.call_function(norch.neg, (graph.output_node().prev,))
    with pytest.raises(RuntimeError, match="used before it has been defined"):
        graph.lint()
    graph.erase_node(late)
    y.target = "nothing"
    with pytest.raises(RuntimeError, match="nonexistent attribute nothing"):
        graph.lint()
    with pytest.raises(ValueError, match="a Callable is expected"):
        graph.call_function("add")
    with pytest.raises(RuntimeError, match="not provided in ``root``"):
        fx.GraphModule({}, fx.symbolic_trace(Net()).graph)


def test_copies_and_pickles():
    net, x = Net(), norch.randn(1, 3, 4, 4)
    traced = fx.symbolic_trace(net)
    copied, pickled = copy.deepcopy(traced), pickle.loads(pickle.dumps(traced))
    for other in (copied, pickled):
        same(other(x), net(x))
        assert other.weight is not net.weight and names(other.graph) == names(traced.graph)
    copied.graph.output_node().prev.args = (copied.graph.find_nodes(op="call_module")[0],)
    copied.recompile()
    same(traced(x), net(x))
    assert type(traced).forward is not type(copied).forward


def test_interpreter_and_transformer():
    traced = fx.symbolic_trace(Net())
    x = norch.randn(2, 3, 5, 5)
    same(fx.Interpreter(traced).run(x), traced(x))
    with pytest.raises(RuntimeError, match="Expected positional argument for parameter x"):
        fx.Interpreter(traced).run()

    class Negated(fx.Transformer):
        def call_function(self, target, args, kwargs):
            return super().call_function(norch.neg if target is F.relu else target, args[:1] if target is F.relu else args,
                                         {} if target is F.relu else kwargs)  # fmt: skip

    changed = Negated(traced).transform()
    assert norch.neg in [node.target for node in changed.graph.nodes]
    assert changed(x)["out"].shape == (2, 3)


def test_inner_modules_keep_parameters_and_buffers():
    class Outer(nn.Module):
        def __init__(self):
            super().__init__()
            self.inner = Net()
            self.inner.register_buffer("passing", norch.ones(1), persistent=False)

        def forward(self, x):
            return self.inner(x)["out"] * self.inner.passing

    outer = Outer()
    traced = fx.symbolic_trace(outer)
    assert traced.state_dict().keys() == outer.state_dict().keys()
    assert dict(traced.named_buffers()).keys() == dict(outer.named_buffers()).keys()
    x = norch.randn(1, 3, 4, 4)
    assert norch.equal(traced(x), outer(x))


def test_leaves_and_own_tracers():
    class Everything(fx.Tracer):
        def is_leaf_module(self, m, path):
            return path == "layers"

        def create_node(self, kind, *args, **kwargs):
            node = super().create_node(kind, *args, **kwargs)
            node.meta["mine"] = kind
            return node

    net = Net()
    graph = Everything().trace(net)
    assert [n.target for n in graph.find_nodes(op="call_module")] == ["layers"]
    assert all(node.meta["mine"] == node.op for node in graph.nodes)
    x = norch.randn(1, 3, 4, 4)
    same(fx.GraphModule(net, graph)(x), net(x))


def test_replaced_patterns():
    traced = fx.symbolic_trace(lambda x, w: norch.cat([norch.add(x, w).relu(), norch.add(w, x).relu(), norch.add(x, 1).exp()]))
    found = fx.replace_pattern(traced, lambda a, b: norch.add(a, b).relu(), lambda a, b: norch.maximum(a, -b))
    assert len(found) == 2 and [n.name for n in found[0].nodes_map.values()] == ["relu", "add", "x", "w"]
    x, w = norch.tensor([1.0, -3.0]), norch.tensor([2.0, 1.0])
    expected = norch.cat([norch.maximum(x, -w), norch.maximum(w, -x), (x + 1).exp()])
    assert traced(x, w).tolist() == expected.tolist()
    # What is used outside of the pattern stays.
    traced = fx.symbolic_trace(lambda x: (lambda y: y + norch.relu(y))(norch.exp(x)))
    assert fx.replace_pattern(traced, lambda x: norch.relu(norch.exp(x)), lambda x: norch.sin(x)) == []


def test_submodules_of_graph_modules():
    traced = fx.symbolic_trace(Net())
    assert traced.add_submodule("extra.deep", nn.Linear(1, 1)) and traced.extra.deep.weight.shape == (1, 1)
    traced.delete_all_unused_submodules()
    assert not hasattr(traced, "extra") and hasattr(traced.layers, "0")
    assert traced.delete_submodule("conv") and not traced.delete_submodule("conv")


def test_shapes_are_noted():
    traced = fx.symbolic_trace(Net())
    fx.passes.shape_prop.ShapeProp(traced).propagate(norch.zeros(2, 3, 5, 5))
    (conv,) = traced.graph.find_nodes(op="call_module", target="conv")
    assert conv.meta["tensor_meta"].shape == (2, 4, 3, 3) and conv.meta["tensor_meta"].dtype == norch.float32
