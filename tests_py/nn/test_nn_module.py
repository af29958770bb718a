"""nn.Module: registration, traversal, conversion, copies, text."""

import copy
import gc
import pickle
import weakref

import numpy as np
import pytest

import norch
from norch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.fc1 = nn.Linear(3, 4)
        self.act = nn.ReLU()
        self.fc2 = nn.Linear(4, 2)
        self.scale = nn.Parameter(norch.ones(2))
        self.register_buffer("mean", norch.zeros(2))
        self.register_buffer("cache", norch.zeros(1), persistent=False)

    def forward(self, x):
        return self.fc2(self.act(self.fc1(x))) * self.scale - self.mean


def names(pairs):
    return [name for name, _ in pairs]


def test_members_are_registered_in_order():
    net = Net()
    assert names(net.named_parameters()) == ["scale", "fc1.weight", "fc1.bias", "fc2.weight", "fc2.bias"]
    assert names(net.named_parameters(prefix="net")) == ["net." + n for n in names(net.named_parameters())]
    assert names(net.named_parameters(recurse=False)) == ["scale"]
    assert names(net.named_buffers()) == ["mean", "cache"]
    assert names(net.named_children()) == ["fc1", "act", "fc2"]
    assert names(net.named_modules()) == ["", "fc1", "act", "fc2"]
    assert [p for p in net.parameters()][0] is net.scale
    assert next(net.parameters()) is net.scale
    assert [b is c for b, c in zip(net.buffers(), [net.mean, net.cache])] == [True, True]
    assert list(net.children()) == [net.fc1, net.act, net.fc2]
    assert list(net.modules()) == [net, net.fc1, net.act, net.fc2]


def test_shared_members_are_listed_once():
    a = nn.Linear(2, 2)
    net = nn.Sequential(a, a)
    assert len(list(net.parameters())) == 2
    assert names(net.named_modules()) == ["", "0"]
    assert names(net.named_parameters(remove_duplicate=False)) == ["0.weight", "0.bias", "1.weight", "1.bias"]
    assert list(net.state_dict()) == ["0.weight", "0.bias", "1.weight", "1.bias"]


def test_parameters_knows_where_each_parameter_lives():
    net = Net()
    triples = list(net.parameters().triples)
    assert [(m, n) for m, n, _ in triples] == [
        (net, "scale"),
        (net.fc1, "weight"),
        (net.fc1, "bias"),
        (net.fc2, "weight"),
        (net.fc2, "bias"),
    ]
    assert all(getattr(m, n) is p for m, n, p in triples)


def test_lookups_by_dotted_name():
    net = nn.Sequential(Net())
    assert net.get_submodule("0.fc1") is net[0].fc1
    assert net.get_submodule("") is net
    assert net.get_parameter("0.fc1.bias") is net[0].fc1.bias
    assert net.get_buffer("0.mean") is net[0].mean
    with pytest.raises(AttributeError, match="Net has no attribute `fc9`"):
        net.get_submodule("0.fc9")
    with pytest.raises(AttributeError, match="`weight` is not an nn.Module"):
        net.get_submodule("0.fc1.weight")
    with pytest.raises(AttributeError, match="`mean` is not an nn.Parameter"):
        net.get_parameter("0.mean")
    with pytest.raises(AttributeError, match="`scale` is not a buffer"):
        net.get_buffer("0.scale")
    new = nn.Identity()
    net.set_submodule("0.act", new)
    assert net[0].act is new
    with pytest.raises(ValueError, match="target name"):
        net.set_submodule("", new)


def test_assignment_moves_names_between_kinds():
    m = nn.Module()
    m.x = 3
    m.x = nn.Parameter(norch.zeros(2))
    assert "x" in m._parameters
    m.x = nn.ReLU()
    assert "x" in m._modules and "x" not in m._parameters
    m.x = None
    assert m.x is None and m._modules["x"] is None
    del m.x
    assert not hasattr(m, "x")
    m.register_buffer("b", norch.zeros(2))
    m.b = norch.ones(3)
    assert m._buffers["b"].tolist() == [1, 1, 1]
    m.b = nn.Parameter(norch.zeros(1))
    assert "b" not in m._buffers and "b" in m._parameters
    m.b = None
    assert m._parameters["b"] is None and m.b is None


def test_the_registries_and_the_attributes_never_disagree():
    net = Net()
    p = nn.Parameter(norch.zeros(1))
    net._parameters["scale"] = p
    assert net.scale is p
    del net._parameters["scale"]
    assert not hasattr(net, "scale")
    net._parameters.update(scale=p, other=p)
    assert net.other is p
    assert net._parameters.pop("other") is p and not hasattr(net, "other")
    assert net._parameters.setdefault("late", p) is p and net.late is p
    net._parameters.clear()
    assert not hasattr(net, "late") and list(net.named_parameters(recurse=False)) == []
    net._modules = {"only": nn.ReLU()}
    assert isinstance(net.only, nn.ReLU) and not hasattr(net, "fc1")
    name, module = net._modules.popitem()
    assert name == "only" and isinstance(module, nn.ReLU) and not hasattr(net, "only")


def test_a_plain_tensor_assigned_to_a_parameter_gives_it_its_values(device):
    fc = nn.Linear(2, 2).to(device)
    before = fc.weight
    value = fc.weight * 2 + 1
    expected = value.tolist()
    fc.weight = value
    assert fc.weight is before and isinstance(before, nn.Parameter)
    assert before.is_leaf and before.requires_grad
    assert before.tolist() == expected
    value.detach().zero_()
    assert before.tolist() == expected  # a copy
    with pytest.raises(RuntimeError, match=r"shape \(3,\) to parameter 'weight' of shape \(2, 2\)"):
        fc.weight = norch.zeros(3)
    with pytest.raises(TypeError, match="cannot assign 'int' as parameter 'weight'"):
        fc.weight = 3
    no_bias = nn.Linear(2, 2, bias=False)
    with pytest.raises(TypeError, match="as parameter 'bias'"):
        no_bias.bias = norch.zeros(2)


def test_wrong_registrations():
    m = nn.Module()
    with pytest.raises(TypeError, match="parameter name should be a string. Got int"):
        m.register_parameter(3, None)
    with pytest.raises(KeyError, match="contain"):
        m.register_parameter("a.b", None)
    with pytest.raises(KeyError, match="be empty"):
        m.register_buffer("", None)
    with pytest.raises(KeyError, match="attribute 'forward' already exists"):
        m.add_module("forward", nn.ReLU())
    with pytest.raises(TypeError, match="required"):
        m.register_parameter("p", norch.zeros(1))
    with pytest.raises(TypeError, match="cannot assign 'int' object to buffer 'b'"):
        m.register_buffer("b", 3)
    with pytest.raises(TypeError, match="int is not a Module subclass"):
        m.add_module("m", 3)
    m.child = nn.ReLU()
    with pytest.raises(TypeError, match="as child module 'child'"):
        m.child = 3
    m.register_buffer("b", norch.zeros(1))
    with pytest.raises(TypeError, match="as buffer 'b'"):
        m.b = 3
    with pytest.raises(AttributeError, match="'Module' object has no attribute 'nothing'"):
        m.nothing

    class Early(nn.Module):
        def __init__(self):
            self.fc = nn.Linear(1, 1)

    with pytest.raises(AttributeError, match=r"cannot assign module before Module.__init__\(\) call"):
        Early()
    with pytest.raises(TypeError, match="unexpected keyword argument 'x'"):
        nn.Module(x=3)
    with pytest.raises(NotImplementedError, match='missing the required "forward" function'):
        m(3)


def test_train_eval_apply_and_requires_grad():
    net = nn.Sequential(Net(), nn.Dropout())
    assert net.eval() is net
    assert not any(m.training for m in net.modules())
    net.train()
    assert all(m.training for m in net.modules())
    with pytest.raises(ValueError, match="boolean"):
        net.train(3)
    seen = []
    assert net.apply(lambda m: seen.append(type(m).__name__)) is net
    assert seen == ["Linear", "ReLU", "Linear", "Net", "Dropout", "Sequential"]
    net.requires_grad_(False)
    assert not any(p.requires_grad for p in net.parameters())


def test_zero_grad(device):
    net = Net().to(device)
    net(norch.ones(1, 3, device=device)).sum().backward()
    assert all(p.grad is not None for p in net.parameters())
    grads = [p.grad for p in net.parameters()]
    net.zero_grad(set_to_none=False)
    assert all(p.grad is g and not g.any() for p, g in zip(net.parameters(), grads))
    net.zero_grad()
    assert all(p.grad is None for p in net.parameters())


def test_to_casts_floating_point_members_only(device):
    net = nn.Sequential(nn.Linear(2, 2), nn.BatchNorm1d(2))
    params = list(net.parameters())
    assert net.to(device, norch.float64) is net
    assert list(map(id, net.parameters())) == list(map(id, params))
    assert all(p.dtype == norch.float64 and p.device.type == device for p in params)
    assert net[1].running_mean.dtype == norch.float64
    assert net[1].num_batches_tracked.dtype == norch.int64
    assert net[1].num_batches_tracked.device.type == device
    for method, dtype in [
        ("half", norch.float16),
        ("bfloat16", norch.bfloat16),
        ("double", norch.float64),
        ("float", norch.float32),
    ]:
        getattr(net, method)()
        assert all(p.dtype == dtype and p.requires_grad and p.is_leaf for p in params)
    net.to(norch.zeros(1, dtype=norch.float64))
    assert params[0].dtype == norch.float64
    net.to(dtype=norch.float32, device="cpu")
    assert params[0].dtype == norch.float32 and params[0].device.type == "cpu"
    with pytest.raises(TypeError, match="only accepts floating point dtypes"):
        net.to(norch.int32)
    with pytest.raises(TypeError):
        net.to("cpu", 3, 4, 5)


def test_gradients_move_along():
    net = nn.Linear(2, 2)
    net(norch.ones(1, 2)).sum().backward()
    net.double()
    assert net.weight.grad.dtype == norch.float64
    net(norch.ones(1, 2, dtype=norch.float64)).sum().backward()
    assert net.weight.grad.tolist() == [[2, 2], [2, 2]]


@pytest.mark.parametrize("clone", [copy.deepcopy, lambda m: pickle.loads(pickle.dumps(m))])
def test_copies_are_whole_and_separate(clone):
    net = nn.Sequential(Net(), nn.BatchNorm1d(2)).eval()
    other = clone(net)
    x = norch.randn(5, 3)
    assert norch.equal(net(x), other(x))
    assert not other[0].training
    with norch.no_grad():
        other[0].fc1.weight.add_(1)
    assert not norch.equal(net[0].fc1.weight, other[0].fc1.weight)
    other[0].extra = nn.Parameter(norch.zeros(1))
    assert "extra" in other[0]._parameters and not hasattr(net[0], "extra")
    other[0]._parameters["scale"] = nn.Parameter(norch.zeros(2))
    assert other[0].scale.tolist() == [0, 0] and net[0].scale.tolist() == [1, 1]


def test_shallow_copies_have_registries_of_their_own():
    net = Net()
    other = copy.copy(net)
    assert other.fc1 is net.fc1
    other.fc1 = nn.Identity()
    assert isinstance(net.fc1, nn.Linear)


def test_modules_are_freed_without_the_garbage_collector():
    gc.collect()
    gc.disable()
    try:
        net = nn.Sequential(Net(), nn.Linear(2, 2))
        net(norch.ones(1, 3)).sum().backward()
        ref = weakref.ref(net[0])
        del net
        assert ref() is None
    finally:
        gc.enable()


def test_repr():
    net = nn.Sequential(Net(), nn.Sequential())
    assert repr(net) == (
        "Sequential(\n"
        "  (0): Net(\n"
        "    (fc1): Linear(in_features=3, out_features=4, bias=True)\n"
        "    (act): ReLU()\n"
        "    (fc2): Linear(in_features=4, out_features=2, bias=True)\n"
        "  )\n"
        "  (1): Sequential()\n"
        ")"
    )


def test_forward_through_the_whole_net(device):
    net = Net().to(device)
    x = np.random.randn(5, 3).astype(np.float32)
    w1, b1, w2, b2 = (p.detach().cpu().numpy() for p in list(net.parameters())[1:])
    expected = np.maximum(x @ w1.T + b1, 0) @ w2.T + b2
    np.testing.assert_allclose(net(norch.tensor(x, device=device)).detach().cpu().numpy(), expected, rtol=1e-5, atol=1e-6)


def test_buffers_by_assignment():
    net = nn.Module()
    data = norch.ones(2)
    net.mean = nn.Buffer(data)
    net.hidden = nn.Buffer(norch.zeros(1), persistent=False)
    assert isinstance(net.mean, nn.Buffer) and isinstance(net.mean, norch.Tensor) and not isinstance(data, nn.Buffer)
    assert net.mean is not data and net.mean.data_ptr() == data.data_ptr()
    assert [name for name, _ in net.named_buffers()] == ["mean", "hidden"] and list(net.state_dict()) == ["mean"]
    net.weight = nn.Parameter(norch.ones(2))
    net.weight = nn.Buffer(norch.zeros(2))  # no longer a parameter
    assert not list(net.parameters()) and "weight" in dict(net.named_buffers())
    assert nn.Buffer().numel() == 0 and nn.parameter.Buffer is nn.Buffer


def test_to_empty(device):
    net = nn.BatchNorm1d(3, dtype=norch.float64)
    weight = net.weight
    assert net.to_empty(device=device) is net and net.weight is weight
    assert {t.device.type for t in net.state_dict().values()} == {device}
    assert [t.dtype for t in net.state_dict().values()] == [norch.float64] * 4 + [norch.int64]


def test_a_getattr_of_ones_own_is_asked_for_members():
    asked = []

    class Asks(nn.Module):
        def __init__(self):
            super().__init__()
            self.weight = nn.Parameter(norch.ones(2))
            self.register_buffer("total", norch.zeros(1))
            self.inner = nn.Linear(2, 1)

        def __getattr__(self, name):
            asked.append(name)
            return super().__getattr__(name)

        def forward(self, x):
            return self.inner(x * self.weight) + self.total

    m = Asks()
    asked.clear()
    m(norch.ones(2)).sum().backward()
    assert asked == ["inner", "weight", "total"] and m.weight.grad is not None
    m.weight = nn.Parameter(norch.zeros(2))
    assert [n for n, _ in m.named_parameters()] == ["weight", "inner.weight", "inner.bias"] and m.weight.sum() == 0
    del m.total
    assert not hasattr(m, "total")
    with pytest.raises(AttributeError, match="'Asks' object has no attribute 'nothing'"):
        m.nothing
    assert copy.deepcopy(m).inner.weight.equal(m.inner.weight)
