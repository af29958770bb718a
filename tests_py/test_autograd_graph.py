"""norch.autograd.graph: hooks on saved tensors and on nodes, edges, hooks on several gradients."""

import gc
import weakref

import pytest

import norch
from norch.autograd import graph


def leaf(*values):
    return norch.tensor(values or (1.0, 2.0), requires_grad=True)


def test_what_is_saved_goes_through_the_hooks():
    packed, unpacked = [], []

    def pack(t):
        packed.append(t)
        return (t.tolist(), "note")

    def unpack(p):
        unpacked.append(p)
        return norch.tensor(p[0])

    a, b = leaf(1.0, 2.0), leaf(3.0, 4.0)
    with graph.saved_tensors_hooks(pack, unpack):
        y = a * b
    assert len(packed) == 2 and not unpacked
    z = y.exp()  # outside: kept as it is
    assert len(packed) == 2
    z.sum().backward()
    assert len(unpacked) == 2 and unpacked[0][1] == "note"
    assert norch.allclose(a.grad, (a * b).exp() * b)
    assert norch.allclose(b.grad, (a * b).exp() * a)


def test_outputs_and_second_derivatives():
    x = leaf(0.5, 1.5)
    with graph.saved_tensors_hooks(lambda t: t.detach().clone(), lambda t: t):
        (g,) = norch.autograd.grad((x.exp() * x.tanh()).sum(), x, create_graph=True)
        (h,) = norch.autograd.grad(g.sum(), x)
    (g2,) = norch.autograd.grad((x.exp() * x.tanh()).sum(), x, create_graph=True)
    (h2,) = norch.autograd.grad(g2.sum(), x)
    assert norch.allclose(g, g2) and norch.allclose(h, h2)


def test_gradcheck_through_hooks():
    x = norch.tensor([[0.3, -0.4], [1.1, 0.2]], dtype=norch.float64, requires_grad=True)
    with graph.saved_tensors_hooks(lambda t: t.numpy().copy(), norch.tensor):
        assert norch.autograd.gradcheck(lambda t: (t @ t).softmax(1).pow(2).sum(), x)
        assert norch.autograd.gradgradcheck(lambda t: (t @ t).sigmoid(), x)


def test_hooks_nest_and_do_not_see_themselves():
    order = []

    def hooks(name):
        return graph.saved_tensors_hooks(lambda t: (order.append(name), t * 1.0)[1], lambda t: t)

    x = leaf()
    with hooks("outer"):
        with hooks("inner"):
            y = x.exp()
        z = y.exp()
    assert order == ["inner", "outer"]
    z.sum().backward()
    assert norch.allclose(x.grad, x.exp() * x.exp().exp())


def test_a_pack_hook_may_not_write_to_its_tensor():
    y = leaf() * 1.0
    with pytest.raises(RuntimeError, match="pack hook is modifying its input in place"):
        with graph.saved_tensors_hooks(lambda t: t.zero_(), lambda t: t):
            y * y


def test_an_unpack_hook_must_return_a_tensor():
    x = leaf()
    with graph.saved_tensors_hooks(lambda t: 1, lambda p: p):
        y = x * x
    with pytest.raises(TypeError, match="unpack_hook expected to be a Tensor"):
        y.sum().backward()


def test_errors_of_hooks_come_through():
    x = leaf()

    def fail(_):
        raise KeyError("mine")

    with pytest.raises(KeyError), graph.saved_tensors_hooks(fail, fail):
        x * x
    y = x * x  # the hooks are gone
    y.sum().backward()


def test_what_was_packed_dies_with_the_graph():
    class Box:
        pass

    boxes = []

    def pack(t):
        box = Box()
        boxes.append(weakref.ref(box))
        return (box, t.detach())

    x = leaf()
    with graph.saved_tensors_hooks(pack, lambda p: p[1]):
        y = x.exp()
    assert boxes[0]() is not None
    y.sum().backward()
    del y
    gc.collect()
    assert boxes[0]() is None


def test_save_on_cpu():
    x = leaf(0.2, 0.7)
    for pin in (False, True):
        x.grad = None
        with graph.save_on_cpu(pin_memory=pin):
            y = (x.exp() * x).sum()
        y.backward()
        assert norch.allclose(x.grad, x.exp() * (1 + x))


def test_saved_tensors_may_be_overwritten():
    x = leaf(1.0, 2.0)
    with graph.allow_mutation_on_saved_tensors() as copies:
        y = x * 2
        z = (y * y).sum() + y.exp().sum()
        y.mul_(0)
    z.backward()
    assert norch.allclose(x.grad, 8 * x + 2 * (2 * x).exp())
    copies.clear()


def test_hooks_can_be_forbidden():
    with graph.disable_saved_tensors_hooks("not here"):
        with pytest.raises(RuntimeError, match="not here"):
            with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
                pass
    with graph.saved_tensors_hooks(lambda t: t, lambda t: t):
        with pytest.raises(RuntimeError, match="nor here"):
            with graph.disable_saved_tensors_hooks("nor here"):
                pass


def test_hooks_of_nodes():
    x = leaf(1.0, 2.0)
    y = x * 3
    seen = []
    node = y.grad_fn
    with node.register_prehook(lambda grads: (seen.append(("before", grads)), (grads[0] * 10,))[1]):
        handle = node.register_hook(lambda ins, outs: seen.append(("after", ins, outs)))
        y.sum().backward()
        assert x.grad.tolist() == [30.0, 30.0]
        assert [s[0] for s in seen] == ["before", "after"]
        assert seen[0][1][0].tolist() == [1.0, 1.0]
        assert seen[1][1][0].tolist() == [30.0, 30.0] and seen[1][2][0].tolist() == [10.0, 10.0]
    handle.remove()
    x.grad = None
    (x * 3).sum().backward()
    assert x.grad.tolist() == [3.0, 3.0] and len(seen) == 2


def test_a_node_hook_may_replace_what_the_node_gives():
    x = leaf(1.0, 2.0)
    y = x * 3
    y.grad_fn.register_hook(lambda ins, outs: tuple(None if g is None else g * 0 for g in ins))
    y.sum().backward()
    assert x.grad.tolist() == [0.0, 0.0]
    z = x * 3
    z.grad_fn.register_hook(lambda ins, outs: (None,) * 7)
    with pytest.raises(RuntimeError, match="incorrect number of values"):
        z.sum().backward()


def test_hooks_of_a_leafs_node():
    x = leaf()
    node = graph.get_gradient_edge(x).node
    seen = []
    node.register_prehook(lambda grads: seen.append(grads[0].tolist()))
    (x * 2).sum().backward()
    assert seen == [[2.0, 2.0]]


def test_metadata():
    node = (leaf() * 2).grad_fn
    node.metadata["note"] = 1
    assert node.metadata == {"note": 1}
    assert isinstance(node, graph.Node)


def test_edges():
    x = leaf(1.0, 2.0)
    y = x * 3
    z = (y * y).sum()
    edge = graph.get_gradient_edge(y)
    assert edge.node == y.grad_fn and edge.output_nr == 0
    assert norch.autograd.grad(z, edge, retain_graph=True)[0].tolist() == [6.0, 12.0]
    a, b = norch.autograd.grad(z, [x, edge], retain_graph=True)
    assert a.tolist() == [18.0, 36.0] and b.tolist() == [6.0, 12.0]
    out = graph.get_gradient_edge(z)
    assert norch.autograd.grad(out, x, retain_graph=True)[0].tolist() == [18.0, 36.0]
    norch.autograd.backward(out, inputs=[x])
    assert x.grad.tolist() == [18.0, 36.0]
    with pytest.raises(RuntimeError, match="does not require"):
        graph.get_gradient_edge(norch.ones(1))


def test_increment_version():
    x = leaf()
    y = x * 1.0
    z = y.pow(2).sum()
    graph.increment_version([y])
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        z.backward()


def test_multi_grad_hook():
    a, b, c = leaf(1.0), leaf(2.0), leaf(3.0)
    calls = []
    handle = graph.register_multi_grad_hook([a, b, c], lambda grads: calls.append([g and g.tolist() for g in grads]))
    (a * b).sum().backward()
    assert calls == [[[2.0], [1.0], None]]
    (a * b * c).sum().backward()
    assert calls[1] == [[6.0], [3.0], [2.0]]
    handle.remove()
    (a * b).sum().backward()
    assert len(calls) == 2

    first = []
    with graph.register_multi_grad_hook([a, b], first.append, mode="any"):
        (a * b).sum().backward()
        (a * b).sum().backward()
    assert len(first) == 2
    with pytest.raises(ValueError, match="mode"):
        graph.register_multi_grad_hook([a], print, mode="some")


def test_multi_grad_hook_on_non_leaves():
    x = leaf(2.0)
    y, z = x * 2, x * 3
    calls = []
    graph.register_multi_grad_hook([y, z], lambda grads: calls.append([g.tolist() for g in grads]))
    (y * z).sum().backward()
    assert calls == [[[6.0], [4.0]]]


def test_saved_variables_is_saved_tensors():
    class Double(norch.autograd.Function):
        @staticmethod
        def forward(ctx, x):
            ctx.save_for_backward(x)
            return x * x

        @staticmethod
        def backward(ctx, grad):
            with pytest.warns(DeprecationWarning, match="saved_variables"):
                (x,) = ctx.saved_variables
            return grad * 2 * x

    x = norch.tensor(3.0, requires_grad=True)
    Double.apply(x).backward()
    assert x.grad.item() == 6.0
