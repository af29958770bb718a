"""nn.parallel's functions, on devices that are all the CPU."""

from collections import namedtuple

import pytest

import norch
from norch.nn import parallel
from norch.nn.parallel import _functions, comm

TWO = ["cpu", "cpu"]
Point = namedtuple("Point", ["x", "y"])


def test_scatter_and_gather_are_inverse():
    data = {"a": norch.arange(5), "b": [norch.arange(10).reshape(5, 2), "text"], "c": Point(norch.ones(5), 1)}
    parts = parallel.scatter(data, TWO)
    assert [p["a"].tolist() for p in parts] == [[0, 1, 2], [3, 4]] and parts[1]["b"][1] == "text"
    assert isinstance(parts[0]["c"], Point)
    joined = parallel.gather([(p["a"], p["b"][0]) for p in parts], "cpu")
    assert joined[0].tolist() == [0, 1, 2, 3, 4] and norch.equal(joined[1], data["b"][0])


def test_gather_of_numbers_is_a_vector_with_gradients():
    x = norch.tensor(2.0, requires_grad=True)
    y = parallel.gather([x * 1, x * 3], "cpu")
    assert y.tolist() == [2, 6]
    y.sum().backward()
    assert x.grad.item() == 4


def test_scatter_kwargs_fills_up():
    inputs, named = parallel.scatter_gather.scatter_kwargs((norch.arange(2),), None, TWO)
    assert [i[0].tolist() for i in inputs] == [[0], [1]] and named == ({}, {})


def test_replicas_add_their_gradients():
    net = norch.nn.Sequential(norch.nn.Linear(2, 3), norch.nn.BatchNorm1d(3))
    copies = parallel.replicate(net, TWO)
    assert not list(copies[0].parameters()) and copies[0][0].weight is not net[0].weight
    assert list(dict(copies[0].named_buffers())) == list(dict(net.named_buffers()))
    x = norch.randn(4, 2)
    outputs = parallel.parallel_apply(copies, [x, 2 * x])
    parallel.gather(outputs, "cpu").square().sum().backward()
    grads = [p.grad.clone() for p in net.parameters()]
    net.zero_grad()
    (net(x).square().sum() + net(2 * x).square().sum()).backward()
    assert all(norch.allclose(a, p.grad, atol=1e-5) for a, p in zip(grads, net.parameters()))


def test_replicas_of_shared_and_recurrent_modules():
    inner = norch.nn.LSTM(2, 2)
    both = norch.nn.ModuleList([inner, inner])
    (copy,) = parallel.replicate(both, ["cpu"])
    assert copy[0] is copy[1] and copy[0].weight_ih_l0 is not inner.weight_ih_l0
    x = norch.ones(3, 1, 2)
    assert norch.equal(copy[0](x)[0], inner(x)[0])
    assert not parallel.replicate(both, ["cpu"], detach=True)[0][0].weight_ih_l0.requires_grad


def test_parallel_apply_raises_what_a_module_raises():
    class Broken(norch.nn.Module):
        def forward(self, x):
            raise KeyError("broken")

    with pytest.raises(KeyError, match="broken"):
        parallel.parallel_apply([norch.nn.Identity(), Broken()], [norch.ones(1), norch.ones(1)])
    with pytest.raises(AssertionError, match="not equal to the number of inputs"):
        parallel.parallel_apply([norch.nn.Identity()], [])


def test_sums_and_copies():
    a, b = norch.ones(2, requires_grad=True), norch.full((2,), 2.0)
    copies = _functions.Broadcast.apply(TWO, a, b)
    assert [c.tolist() for c in copies] == [[1, 1], [2, 2], [1, 1], [2, 2]]
    x, y = _functions.ReduceAddCoalesced.apply("cpu", 2, *copies)
    assert (x.tolist(), y.tolist()) == ([2, 2], [4, 4])
    x.sum().backward()
    assert a.grad.tolist() == [2, 2]
    assert not comm.broadcast(a, TWO)[0].requires_grad
    assert comm.reduce_add_coalesced([[a, b], [a, b]], "cpu")[1].tolist() == [4, 4]
    assert [c.tolist() for c in comm.scatter(b, TWO, [1, 1])] == [[2], [2]]
    assert comm.gather([a, b], destination="cpu").tolist() == [1, 1, 2, 2]
    with pytest.raises(ValueError, match="input has invalid size: got 3, but expected 2"):
        comm.reduce_add([a, norch.ones(3)])
